"""Which tokens make the same pieces of texts as all do, and a tokenizer that has only those.

What is kept makes the texts into the very pieces that the whole vocabulary makes of them. Others
fall back to shorter pieces, down to characters, which all stay as special tokens do. How that is
sound is another matter for each kind of tokenizer; see `_MORE`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from prunecli.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

_ROWS: Final = 1000
"""Texts handed to the tokenizer at a time."""


def state_of(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The whole of a fast tokenizer, without the limits that whoever called it last has set.

    Raises `InputError` for one that is not, or of a kind that is not known.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    kind = type(tokenizer).__name__
    if backend is not None:
        state: dict[str, Any] = json.loads(backend.to_str())
        state["truncation"] = state["padding"] = None
        kind = state["model"].get("type", kind)
        if kind in _MORE:
            return state
    raise InputError(
        f"the vocabulary of a {kind} tokenizer cannot be trimmed",
        hint=f"that is done for {', '.join(_MORE)}; leave out --vocabulary",
    )


def used_tokens(state: dict[str, Any], texts: Iterable[str]) -> set[int]:
    """Ids of the tokens that make the same pieces of ``texts``, of characters and special tokens.

    Raises `InputError` where there are no texts.
    """
    from tokenizers import Tokenizer

    backend, model, known = Tokenizer.from_str(json.dumps(state)), state["model"], token_ids(state)
    kept = {token["id"] for token in state["added_tokens"]}
    kept |= {known[token] for token in [model.get("unk_token")] if token in known}
    kept |= {number for number in [model.get("unk_id")] if number is not None}
    kept |= {known[token] for token in _in_order(model) if len(_bare(model, token)) == 1}
    used: set[int] = set()
    more = _MORE[model["type"]]
    for text in _chunks(texts):
        found = backend.encode_batch(text, add_special_tokens=False)
        for one, encoded in zip(text, found, strict=True):
            used.update(encoded.ids)
            kept |= more.of_text(backend, model, known, one, encoded.ids)
    kept |= used
    if not used:
        raise InputError("there are no texts to take the tokens of a vocabulary from")
    kept |= more.besides(model, known, kept)
    return kept


def with_places(
    tokenizer: PreTrainedTokenizerBase, state: dict[str, Any], places: dict[int, int]
) -> PreTrainedTokenizerBase:
    """The same tokenizer with fewer tokens, as a class that takes its file as it is."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    known, whole = token_ids(state), dict(state)
    model = dict(state["model"])
    if isinstance(model["vocab"], list):
        model["vocab"] = [p for place, p in enumerate(model["vocab"]) if place in places]
        if model.get("unk_id") is not None:
            model["unk_id"] = places[model["unk_id"]]
    else:
        own = sorted(model["vocab"].items(), key=lambda entry: entry[1])
        model["vocab"] = {token: places[old] for token, old in own if old in places}
    if "merges" in model:
        model["merges"] = [
            [left, right]
            for left, right in _merges(model)
            if all(
                known.get(token) in places for token in (left, right, _merged(model, left, right))
            )
        ]
    whole["model"] = model
    whole["added_tokens"] = [
        {**token, "id": places[token["id"]]}
        for token in state["added_tokens"]
        if token["id"] in places
    ]
    whole["post_processor"] = _processor(state["post_processor"], places)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(whole)),
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        **{
            role: token
            for role, token in tokenizer.special_tokens_map.items()
            if isinstance(token, str) and known.get(token) in places
        },
    )


def _processor(part: Any, places: dict[int, int]) -> Any:
    """A post-processor with the new ids of the tokens that it puts around a text."""
    if isinstance(part, list):
        return [_processor(one, places) for one in part]
    if not isinstance(part, dict):
        return part
    found = {key: _processor(value, places) for key, value in part.items()}
    for key in ("sep", "cls"):
        if isinstance(part.get(key), list):
            token, old = part[key]
            found[key] = [token, places[old]]
    if isinstance(part.get("special_tokens"), dict):
        found["special_tokens"] = {
            token: {**said, "ids": [places[old] for old in said["ids"]]}
            for token, said in part["special_tokens"].items()
        }
    return found


@dataclass(frozen=True)
class _Kind:
    """What a kind of tokenizer needs beyond the tokens that are used, characters and specials."""

    of_text: Callable[[Tokenizer, dict[str, Any], dict[str, int], str, list[int]], set[int]]
    """For one text and its ids."""
    besides: Callable[[dict[str, Any], dict[str, int], Set[int]], set[int]]
    """For all that is kept otherwise."""


def _nothing(*_: object) -> set[int]:
    return set()


def _pieces_of_the_unknown(
    backend: Tokenizer, model: dict[str, Any], known: dict[str, int], text: str, ids: list[int]
) -> set[int]:
    """WordPiece takes the longest piece at each place, and gives up where there is none.

    Among fewer pieces the longest is the same wherever it is kept, so words keep their pieces. Of a
    word that is given up, those before that place are kept, too: a shorter one in their stead might
    lead on.
    """
    if known.get(model["unk_token"]) not in ids:
        return set()
    normalizer, splitter = backend.normalizer, backend.pre_tokenizer
    whole = normalizer.normalize_str(text) if normalizer else text
    words = [word for word, _ in splitter.pre_tokenize_str(whole)] if splitter else [whole]
    prefix, most = model["continuing_subword_prefix"], model["max_input_chars_per_word"]
    found: set[int] = set()
    for word in words:
        start = 0
        while start < len(word) <= most:
            ends = range(len(word), start, -1)
            pieces = ((end, (prefix if start else "") + word[start:end]) for end in ends)
            longest = next(((end, piece) for end, piece in pieces if piece in known), None)
            if longest is None:
                break
            start = longest[0]
            found.add(known[longest[1]])
    return found


def _parts_of_merges(model: dict[str, Any], known: dict[str, int], kept: Set[int]) -> set[int]:
    """BPE makes a piece of two again and again, the earliest merge first.

    The merges of kept pieces are kept with all their parts. Then every merge on the way to a kept
    piece is there, and the earliest of those that apply among all is so among these.
    """
    made: dict[str, list[tuple[str, str]]] = {}
    for left, right in _merges(model):
        made.setdefault(_merged(model, left, right), []).append((left, right))
    tokens = {number: token for token, number in known.items()}
    open_, found = [tokens[number] for number in kept if number in tokens], set[int]()
    while open_:
        for pair in made.get(open_.pop(), ()):
            for part in pair:
                if part in known and known[part] not in found:
                    found.add(known[part])
                    open_.append(part)
    return found


def _least_likely(model: dict[str, Any], known: dict[str, int], kept: Set[int]) -> set[int]:
    """Unigram takes the likeliest pieces, and the best way among all is the best among fewer.

    An unknown character is as likely as the least likely piece less a constant: that one stays.
    """
    pieces = model["vocab"]
    return {min(range(len(pieces)), key=lambda place: float(pieces[place][1]))}


_MORE: Final = {
    "WordPiece": _Kind(_pieces_of_the_unknown, _nothing),
    "BPE": _Kind(_nothing, _parts_of_merges),
    "Unigram": _Kind(_nothing, _least_likely),
    "WordLevel": _Kind(_nothing, _nothing),
}
"""By the kind of tokenizer, why fewer tokens make the same pieces of the same texts."""


def _merges(model: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        yield left, right


def _merged(model: dict[str, Any], left: str, right: str) -> str:
    return left + right.removeprefix(model.get("continuing_subword_prefix") or "")


def _bare(model: dict[str, Any], token: str) -> str:
    """A token without the marks of a piece that continues or ends a word; a byte is one sign."""
    if model.get("byte_fallback") and len(token) == 6 and token.startswith("<0x"):
        return token[0]
    bare = token.removeprefix(model.get("continuing_subword_prefix") or "")
    return bare.removesuffix(model.get("end_of_word_suffix") or "") or token


def _in_order(model: dict[str, Any]) -> list[str]:
    """The tokens of the model itself, without those that were added."""
    pieces = model["vocab"]
    return [piece for piece, _ in pieces] if isinstance(pieces, list) else list(pieces)


def token_ids(state: dict[str, Any]) -> dict[str, int]:
    """Every token and its id, those that were added included."""
    pieces = state["model"]["vocab"]
    in_list = isinstance(pieces, list)
    own = {piece: place for place, (piece, _) in enumerate(pieces)} if in_list else pieces
    return {**own, **{token["content"]: token["id"] for token in state["added_tokens"]}}


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    left = iter(texts)
    while chunk := list(islice(left, _ROWS)):
        yield chunk

"""A model whose vocabulary is cut to the tokens that texts use; see `prunecli.models.tokens`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prunecli.errors import InputError
from prunecli.models.adapters import adapter_files
from prunecli.models.claims import read_config
from prunecli.models.loading import (
    WEIGHTS,
    check_folder,
    load_config,
    load_tokenizer,
    skeleton_of,
)
from prunecli.models.positions import positions_of
from prunecli.models.tokens import state_of, token_ids, used_tokens, with_places
from prunecli.store.folders import CARD

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TOKENIZER: Final = "tokenizer_config.json"
_CLASS: Final = "PreTrainedTokenizerFast"
"""What takes ``tokenizer.json`` as it is in every version of the library."""
_OF_A_TOKENIZER: Final = (
    "tokenizer.json",
    _TOKENIZER,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
"""Files that speak of the whole vocabulary, as those that end in ``.model`` do."""


@dataclass(frozen=True)
class Trimmed:
    """A model folder whose vocabulary was cut."""

    before: int
    """Rows of the embedding as they were."""
    places: dict[int, int]
    """From the old id of each token that is kept to its new one; those are 0, 1, 2, …."""

    @property
    def tokens(self) -> int:
        return len(self.places)


def trim_vocabulary(folder: Path, out: Path, texts: Iterable[str]) -> Trimmed:
    """Write the model in ``folder`` to the new folder ``out`` with the tokens that ``texts`` use.

    Ids keep their order and have no gaps; the rows of the word embeddings are cut with them, and
    no other weight. The tokenizer is one that plain ``AutoTokenizer`` loads from ``tokenizer.json``
    alone. Raises `InputError` for a model or a tokenizer with which this cannot be done soundly.
    """
    check_folder(str(folder))
    tokenizer, config = load_tokenizer(str(folder)), load_config(str(folder))
    state, name = state_of(tokenizer), _embedding(folder)
    kept = used_tokens(state, texts) | _needed(token_ids(state), config)
    rows = skeleton_of(str(folder)).get_input_embeddings().weight.shape[0]
    places = {old: new for new, old in enumerate(sorted(old for old in kept if old < rows))}
    found = with_places(tokenizer, state, places)
    out.mkdir(parents=True)
    _write_config(folder, out, places, config)
    _write_weights(folder, out, name, sorted(places))
    found.save_pretrained(out)
    said = json.loads((out / _TOKENIZER).read_text(encoding="utf-8"))
    said["tokenizer_class"] = _CLASS
    (out / _TOKENIZER).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        if _goes_along(path) and not (out / path.name).exists():
            shutil.copyfile(path, out / path.name)
    trimmed = Trimmed(rows, places)
    _tell_card(out / Path(CARD).name, trimmed)
    _check(load_tokenizer(str(out)), tokenizer, state, places)
    return trimmed


def _write_config(folder: Path, out: Path, places: dict[int, int], config: Any) -> None:
    said = read_config(folder)
    if "vocab_size" not in config.to_dict():
        raise InputError(f"the configuration of {folder} does not say how many tokens there are")
    said["vocab_size"] = len(places)
    for key in {key for key, _ in _said(config.to_dict())}:
        value = getattr(config, key)
        if isinstance(value, list):
            said[key] = [places[number] for number in value if number in places]
        else:
            said[key] = places.get(value)
    if _counts_from_padding(config) and said["pad_token_id"] != config.pad_token_id:
        raise InputError(
            f"the positions of {folder} are counted from its padding token, whose id would change",
            hint="leave out --vocabulary",
        )
    (out / "config.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _embedding(folder: Path) -> str:
    """Name of the word embeddings' weight in a classifier."""
    model = skeleton_of(str(folder))
    wanted = model.get_input_embeddings()
    return next(f"{name}.weight" for name, one in model.named_modules() if one is wanted)


def _write_weights(folder: Path, out: Path, name: str, rows: list[int]) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    bare = name.partition(".")[2]  # a bare encoder is saved without the name that it has inside
    tensors, cut = {}, 0
    for file in sorted({*folder.glob("*.safetensors")} - {*adapter_files(folder)}):
        with safe_open(file, framework="pt") as stored:
            for key in stored.keys():  # noqa: SIM118 - it is no dictionary
                tensors[key] = stored.get_tensor(key)
                if key in (name, bare):
                    tensors[key] = tensors[key][rows].contiguous()
                    cut += 1
    if cut != 1:
        raise InputError(
            f"the word embeddings of {folder} are not a matrix of their own",
            hint="leave out --vocabulary",
        )
    save_file(tensors, out / WEIGHTS, metadata={"format": "pt"})


def _check(
    found: PreTrainedTokenizerBase,
    before: PreTrainedTokenizerBase,
    state: dict[str, Any],
    places: dict[int, int],
) -> None:
    """Raise `InputError` unless every token that is kept is read back with its new id."""
    wanted = {token: places[old] for token, old in token_ids(state).items() if old in places}
    same = found.model_input_names == before.model_input_names
    if not same or found.get_vocab() != wanted or sorted(wanted.values()) != [*range(len(wanted))]:
        raise InputError(
            f"the tokenizer, a {type(before).__name__}, cannot be written with other ids",
            hint="leave out --vocabulary",
        )


def _tell_card(card: Path, trimmed: Trimmed) -> None:
    if card.is_file():
        note = (
            f"\nThe vocabulary was trimmed to {trimmed.tokens:,} of {trimmed.before:,} tokens: "
            "what is said above of scores and sizes is of the model before.\n"
        )
        card.write_text(card.read_text(encoding="utf-8") + note, encoding="utf-8")


def _goes_along(path: Path) -> bool:
    """Whether a file of a model folder says nothing of weights and tokens."""
    other = path.name in _OF_A_TOKENIZER or path.name.endswith(".index.json")
    return path.is_file() and path.suffix in (".json", ".md") and not other


def _needed(known: dict[str, int], config: Any) -> set[int]:
    """Ids of the tokens that the model itself must have."""
    numbers = set(known.values())
    needed = {number for _, number in _said(config.to_dict()) if number in numbers}
    pad = getattr(config, "pad_token_id", None)
    if _counts_from_padding(config) and isinstance(pad, int):
        needed |= {number for number in numbers if number <= pad}
    return needed


def _said(config: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """The ids of tokens in a configuration, by their keys."""
    for key, value in config.items():
        if key.endswith("_token_id"):
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int):
                    yield key, number


def _counts_from_padding(config: Any) -> bool:
    """Whether positions are counted from the id of the padding token, which so has to stay."""
    own = getattr(config, "max_position_embeddings", None)
    return positions_of(config) != own and positions_of(config) is not None

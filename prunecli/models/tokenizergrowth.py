"""How much longer a tokenizer makes a text before it is cut: that is a program in its file."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from prunecli.errors import InputError

_TIMES: Final = 100
"""How many times as long a text may become. Models of SentencePiece put 3 bytes for a space."""
_ADDED: Final = 1_000
"""Characters or tokens that are put before, after or between texts at most."""


def check_growth(tokenizer: Any, name: str) -> None:
    """Raise `InputError` where a text would become far longer, or stand in its tokens twice.

    A replacement of one letter by a hundred, six times over, takes all memory for one word.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return
    times = added = 1.0
    for part in _parts(backend.normalizer, "normalizers"):
        own = _times(part)
        times, added = times * own, added * own + len(str(part.get("prepend", "")))
    if times > _TIMES or added > _ADDED * _TIMES:
        raise _refused(name, f"makes a text {times:,.0f} times as long before it is cut")
    for part in _parts(backend.post_processor, "processors"):
        for form in ("single", "pair"):
            _check_template(part, part.get(form), name)


def _check_template(part: dict[str, Any], form: Any, name: str) -> None:
    if not isinstance(form, list):
        return
    texts = Counter(item["Sequence"]["id"] for item in form if "Sequence" in item)
    if max(texts.values(), default=0) > 1:
        raise _refused(name, "puts a text into its tokens more than once")
    known = part.get("special_tokens", {})
    asked = [item["SpecialToken"]["id"] for item in form if "SpecialToken" in item]
    if sum(len(known[one]["ids"]) for one in asked if one in known) > _ADDED:
        raise _refused(name, f"adds more than {_ADDED:,} tokens to a text")


def _parts(pipeline: Any, key: str) -> list[dict[str, Any]]:
    """The steps of a part of the tokenizer in their order, those within steps too."""
    if pipeline is None:
        return []
    waiting, found = [json.loads(pipeline.__getstate__())], []
    while waiting:
        one = waiting.pop(0)
        inside = one.get(key)
        if isinstance(inside, list):
            waiting[:0] = inside
        else:
            found.append(one)
    return found


def _times(part: dict[str, Any]) -> float:
    """How many times as long a replacement makes a text at most."""
    if part.get("type") != "Replace":
        return 1.0
    pattern, content = part.get("pattern", {}), len(part.get("content", ""))
    if isinstance(pattern, dict) and pattern.get("String"):
        return max(1.0, content / len(pattern["String"]))
    return float(max(1, content + 1))  # an expression may fit between all letters


def _refused(name: str, what: str) -> InputError:
    return InputError(
        f"the tokenizer of {name} {what}", hint="take the tokenizer that the model was trained with"
    )

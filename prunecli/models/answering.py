"""What is told where the library's code of a model cannot answer what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prunecli.errors import InputError, as_told
from prunecli.models.madeup import MadeUp
from prunecli.models.positions import positions_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CANNOT: Final = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What the code of a model raises where it cannot follow its configuration, or read a text."""
_TEXTS, _TOKENS = 2, 16


@contextmanager
def answering(model: PreTrainedModel, cause: str | None = None) -> Iterator[None]:
    """Within it ``model`` is asked; what its own code raises then becomes an `InputError`.

    ``cause`` says why that may be, unless it is to be found out here. A lack of memory stays what
    it is.
    """
    try:
        yield
    except _CANNOT as error:
        if isinstance(as_told(error), InputError):  # a lack of memory
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{type(model).__name__} cannot answer: {reason}",
            hint=f"{cause or _cause(model)}; -v shows where",
        ) from error


def _cause(model: PreTrainedModel) -> str:
    if _answers_anything(model):
        return (
            "it answers other texts: its tokenizer is not what it was trained with, or the data "
            "holds what it cannot read"
        )
    return "its config.json asks for what its code cannot do"


def _answers_anything(model: PreTrainedModel) -> bool:
    """Whether it answers texts without meaning, of a length that every classifier can read."""
    import torch

    try:
        tokens = min(_TOKENS, positions_of(model.config) or _TOKENS)
        given = MadeUp.of(model.config)(_TEXTS, tokens)
        with torch.inference_mode():
            model(
                input_ids=torch.from_numpy(given["input_ids"]).to(model.device),
                attention_mask=torch.from_numpy(given["attention_mask"]).to(model.device),
            )
    except Exception:  # whatever its code raises, as it did before
        return False
    return True

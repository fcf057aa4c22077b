"""What a criterion may learn from besides the weights: the model and some examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

Batch = Mapping[str, "Tensor"]
"""Keyword arguments of the model: ``input_ids`` and ``attention_mask`` [examples, tokens], and
``labels`` [examples] where the loss is wanted."""

_Part = TypeVar("_Part")


class Visit(Protocol):
    """Gives the parts of a model one by one, and may tell how far that is."""

    def __call__(self, what: str, parts: Sequence[_Part], /) -> Iterable[_Part]:
        """``parts`` in their order; ``what`` is what is done with each, in a word."""


def silently(_: str, parts: Sequence[_Part]) -> Iterable[_Part]:
    """A `Visit` that tells nothing."""
    return parts


@dataclass(frozen=True)
class Evidence:
    """A model and the calibration examples, on the model's device and with padding marked."""

    model: nn.Module
    """Called as ``model(**batch)``; what it returns has ``loss`` and ``logits``."""
    batches: Sequence[Batch]
    """As they were given, each `apart`."""
    silent: set[str] = field(default_factory=set)
    """Weights of which the examples said nothing, as whoever learns from them finds out: what
    their layers read never varies, or the answers do not depend on what they give."""
    visit: Visit = silently
    """How layers are gone through where each takes its time."""

    def __post_init__(self) -> None:
        parts = [part for batch in self.batches for part in apart(batch)]
        object.__setattr__(self, "batches", parts)


def apart(batch: Batch) -> tuple[Batch, ...]:
    """``batch``, in two parts where it has as many examples as tokens, and padding among these.

    Some encoders compute with [tokens, examples, …], and by their sizes alone it is told which axis
    is which.
    """
    mask = batch.get("attention_mask")
    if mask is None or mask.dim() != 2 or len(mask) != mask.shape[1] or mask.all():
        return (batch,)
    first, last = slice(None, -1), slice(-1, None)
    return tuple({name: values[own] for name, values in batch.items()} for own in (first, last))

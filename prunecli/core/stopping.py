"""Stopping a model in the middle, where all that is wanted of it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from prunecli.core.activations import real_rows


class Reached(Exception):  # noqa: N818 - a signal, not an error
    """The layer or block that was wanted has been called."""


@contextmanager
def stopping_after(
    block: nn.Module, take: Callable[[object], object] = lambda _: None
) -> Iterator[None]:
    """Have ``block`` hand what it gives to ``take``, and the model run no further."""
    forward = block.forward

    def stop(*args: Any, **kwargs: Any) -> object:
        take(forward(*args, **kwargs))
        raise Reached

    with instead(block, stop):
        yield


@contextmanager
def instead(part: nn.Module, forward: Callable[..., object]) -> Iterator[None]:
    """Run ``forward`` in the place of that of ``part``.

    No hook does: some encoders call ``forward`` of their blocks themselves.
    """
    own = part.__dict__.get("forward")
    part.forward = forward
    try:
        yield
    finally:
        del part.forward
        if own is not None:
            part.forward = own


class Sums(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what is added to what a layer has just written, so many times, and stops the model."""

    def __init__(self, calls: int, mask: Tensor | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.written: Tensor | None = None
        """The output that waits to be added: this very tensor, not one equal to it."""
        self.others: list[Tensor] = []
        self._calls, self._mask = calls, mask

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        if func is torch.ops.aten.add.Tensor and self.written is not None and not kwargs:
            others = [value for value in args if value is not self.written]
            if len(others) == 1 and getattr(others[0], "shape", None) == self.written.shape:
                self.others.append(real_rows(others[0], self._mask))
                self.written = None
                if len(self.others) == self._calls:
                    raise Reached
        return func(*args, **(kwargs or {}))

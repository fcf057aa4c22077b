"""Training with another dropout than the model came with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.dropout import _DropoutNd


@contextmanager
def dropout_of(model: nn.Module, probability: float | None) -> Iterator[None]:
    """Within it every dropout of ``model`` has this ``probability``; ``None`` leaves them alone.

    The config, which is saved with the model, keeps what it says. Some encoders hold the
    probability in a layer for it and others in a number of the layer that uses it.
    """
    if probability is None:
        yield
        return
    found = [
        (module, name, value)
        for module in model.modules()
        for name, value in vars(module).items()
        if isinstance(value, float)
        and (name == "p" if isinstance(module, _DropoutNd) else "dropout" in name)
    ]
    for module, name, _ in found:
        setattr(module, name, probability)
    try:
        yield
    finally:
        for module, name, value in found:
            setattr(module, name, value)

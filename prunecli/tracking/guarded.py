"""Trainer's callbacks such that none of them can end a training by failing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

Try = Callable[[Callable[[], object]], object]


class Guarded(TrainerCallback):  # type: ignore[misc]
    """Passes on every event to ``inner``, each by way of ``attempt``."""

    def __init__(self, inner: TrainerCallback, attempt: Try) -> None:
        self.inner, self.attempt = inner, attempt


def _passed_on(event: str) -> Callable[..., None]:
    def pass_on(self: Guarded, *given: Any, **named: Any) -> None:
        self.attempt(lambda: getattr(self.inner, event)(*given, **named))

    return pass_on


for _event in [name for name in dir(TrainerCallback) if name.startswith("on_")]:
    setattr(Guarded, _event, _passed_on(_event))

"""Answers by PyTorch, in float32 or bf16."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prunecli.errors import InputError, as_told
from prunecli.machine.hardware import check_bf16
from prunecli.runtimes.base import Classifier, version_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel


_ASKED: Final = "its config.json asks for what its code cannot do; -v shows where"
_CANNOT: Final = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What the code of a model raises where its configuration is none that it can follow."""


class TorchClassifier:
    """The answers of a model that is in memory, which is put into evaluation mode on ``device``.

    With ``precision`` ``bf16`` under autocast, else as the model's weights are.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        device: str = "cpu",
        precision: str = "float32",
        answers_depend_on_batch: bool = False,
        hint: str = _ASKED,
    ) -> None:
        """``hint`` says why it may be that the model's own code cannot answer."""
        self.answers_depend_on_batch = answers_depend_on_batch
        self._model = model.eval().to(device)
        self._device = device
        self._bf16 = precision == "bf16"
        self._hint = hint
        self._reads = inspect.signature(type(model).forward).parameters

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        import torch

        tensors = {
            name: torch.from_numpy(array).to(self._device)
            for name, array in inputs.items()
            if name in self._reads
        }
        with (
            torch.inference_mode(),
            torch.autocast(self._device, torch.bfloat16, enabled=self._bf16),
        ):
            logits = self._logits(tensors)
        found: NDArray[np.float32] = logits.float().cpu().numpy()
        return found

    def _logits(self, tensors: Mapping[str, Any]) -> Any:
        """What the model gives; `InputError` where its own code cannot, as its settings are."""
        try:
            return self._model(**tensors).logits
        except _CANNOT as error:
            if isinstance(as_told(error), InputError):  # a lack of memory
                raise
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{type(self._model).__name__} cannot answer: {reason}",
                hint=self._hint,
            ) from error


class PyTorch:
    """Whatever `prunecli.load` takes; ``threads`` are those of the whole process.

    In float32, or under autocast in bf16 where the processor has it: else `InputError`.
    """

    def __init__(self, precision: str = "float32") -> None:
        self._precision = precision

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        import torch

        from prunecli.runtimes.opening import load

        model = load(path)
        if self._precision == "bf16":
            check_bf16(f"{path}, in bf16,")
        if threads is not None:
            torch.set_num_threads(threads)
        return TorchClassifier(model, precision=self._precision)

    def version(self) -> str:
        return version_of("torch")

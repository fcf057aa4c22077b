"""Answers by PyTorch, in float32 or bf16."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prunecli.machine.hardware import check_bf16
from prunecli.models.answering import answering
from prunecli.models.padding import padding_of
from prunecli.models.positions import fewest_tokens
from prunecli.runtimes.base import Classifier, version_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel


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
        cause: str | None = None,
    ) -> None:
        """``cause`` says why the model's own code may be unable to answer, where that is known."""
        self.answers_depend_on_batch = answers_depend_on_batch
        self._cause = cause
        self._model = model.eval().to(device)
        self._device = device
        self._bf16 = precision == "bf16"
        self._reads = inspect.signature(type(model).forward).parameters
        self._fewest, padding = fewest_tokens(model.config), padding_of(model.config)
        self._fill = {"input_ids": 0 if padding is None else padding}

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        import torch

        tensors = {
            name: torch.from_numpy(self._long_enough(name, array)).to(self._device)
            for name, array in inputs.items()
            if name in self._reads
        }
        with (
            torch.inference_mode(),
            torch.autocast(self._device, torch.bfloat16, enabled=self._bf16),
            answering(self._model, self._cause),
        ):
            logits = self._model(**tensors).logits
        found: NDArray[np.float32] = logits.float().cpu().numpy()
        return found

    def _long_enough(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """``rows`` [examples, tokens] with padding behind them where the model reads no fewer."""
        import numpy as np

        lacking = self._fewest - rows.shape[1]
        if lacking <= 0:
            return rows
        fill = self._fill.get(name, 0)
        return np.pad(rows, ((0, 0), (0, lacking)), constant_values=fill)


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

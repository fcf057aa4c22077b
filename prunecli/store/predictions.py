"""Predictions per example, and the file that keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prunecli.errors import IntegrityError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """A model's answers on one split of ``n`` examples, in the order of the data.

    ``index`` [n] int64 is the example's position in its file, ``labels`` [n] the truth (int64
    class, or float32 for regression) and ``logits`` [n, classes] float32.
    """

    index: NDArray[np.int64]
    labels: NDArray[np.int64] | NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def regression(self) -> bool:
        return bool(self.labels.dtype.kind == "f")

    @property
    def answers(self) -> NDArray[np.int64] | NDArray[np.float32]:
        """[n] predicted class, or predicted score for regression."""
        return self.logits[:, 0] if self.regression else self.logits.argmax(axis=1)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Predictions:
        """Those of some examples, by their positions or by a mark for each."""
        return Predictions(self.index[rows], self.labels[rows], self.logits[rows])

    @property
    def correct(self) -> NDArray[np.bool_]:
        """[n] whether the predicted class is the true one; classification only."""
        if self.regression:
            raise ValueError("a regression has no correct and wrong answers")
        right: NDArray[np.bool_] = self.answers == self.labels
        return right


def save_predictions(path: Path, predictions: dict[str, Predictions]) -> None:
    """Write all splits into one safetensors file."""
    from safetensors.numpy import save

    tensors = {}
    for split, found in predictions.items():
        for field in ("index", "labels", "logits"):
            tensors[f"{split}/{field}"] = getattr(found, field)
    path.write_bytes(save(tensors))


def load_predictions(path: Path) -> dict[str, Predictions]:
    """Read what `save_predictions` wrote; raises `IntegrityError` when it is not that."""
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
        splits = dict.fromkeys(name.rpartition("/")[0] for name in tensors)
        found = {
            split: Predictions(
                tensors[f"{split}/index"], tensors[f"{split}/labels"], tensors[f"{split}/logits"]
            )
            for split in splits
        }
    except Exception as error:  # safetensors raises its own, unexported type
        raise IntegrityError(f"predictions {path} cannot be read: {error}") from None
    for split, part in found.items():
        if not len(part.index) == len(part.labels) == len(part.logits):
            raise IntegrityError(f"predictions {path}: lengths differ in '{split}'")
    return found

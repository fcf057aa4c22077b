"""Running a classifier over a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prunecli.progress import Bar
from prunecli.runtimes import Classifier
from prunecli.store.predictions import Predictions

if TYPE_CHECKING:
    from datasets import Dataset


def predict(
    classifier: Classifier,
    dataset: Dataset,
    batches: Sequence[Sequence[int]],
    collate: Callable[[list[dict[str, Any]]], dict[str, Any]],
    *,
    order: Sequence[int],
    bar: Bar,
) -> Predictions:
    """Logits for every example, in the order of ``dataset`` whatever the order of ``batches``.

    ``order`` lists, for each class of the task, the model's output that stands for it.
    """
    import numpy as np

    logits = np.empty((len(dataset), len(order)), dtype=np.float32)
    columns = list(order)
    inputs = dataset.remove_columns(["labels", "index", "length"])
    for batch in batches:
        rows = inputs[list(batch)]
        features = [
            dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)
        ]
        arrays = {key: value.numpy() for key, value in collate(features).items()}
        logits[list(batch)] = classifier(arrays)[:, columns]
        bar.advance(len(batch))
    labels = np.asarray(dataset["labels"])
    labels = labels.astype(np.float32 if labels.dtype.kind == "f" else np.int64)
    return Predictions(np.asarray(dataset["index"], dtype=np.int64), labels, logits)

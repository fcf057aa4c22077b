"""Examples in memory: what every source turns into before it becomes a ``datasets.Dataset``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prunecli.data.rows import drawn
from prunecli.tasks import Task

if TYPE_CHECKING:
    from datasets import Dataset

Number = int | float


@dataclass(frozen=True)
class Examples:
    """Columns of equal length: one or two of texts, the labels, the position of each in its file.

    A label is a class index in the order of ``task.label_names``, or a float for regression.
    """

    texts: tuple[Sequence[str], ...]
    labels: Sequence[Number]
    index: Sequence[int]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int]) -> Examples:
        """The examples at these positions, in this order."""
        return Examples(
            texts=tuple([column[row] for row in rows] for column in self.texts),
            labels=[self.labels[row] for row in rows],
            index=[self.index[row] for row in rows],
        )

    def subset(self, limit: int | None, seed: int) -> Examples:
        """At most ``limit`` examples, drawn at random by ``seed`` and kept in their order.

        Files may be sorted, so the first rows would not do. With the same seed a larger subset
        contains every smaller one.
        """
        if limit is None or limit >= len(self):
            return self
        return self.take(drawn(len(self), limit, seed))

    def dataset(self, task: Task) -> Dataset:
        """A ``datasets.Dataset`` with ``text_a``, ``text_b`` (pairs only), ``label``, ``index``."""
        import pyarrow as pa
        from datasets import Dataset

        label_type = pa.float32() if task.regression else pa.int64()
        columns = {
            name: pa.array(column, pa.large_string())
            for name, column in zip(("text_a", "text_b"), self.texts, strict=False)
        }
        columns["label"] = pa.array(self.labels, label_type)
        columns["index"] = pa.array(self.index, pa.int64())
        return Dataset(pa.table(columns))


@dataclass(frozen=True)
class Splits:
    """What a source holds for one task: training examples when asked for, each evaluation split."""

    train: Examples | None
    evaluation: dict[str, Examples]
    notes: tuple[str, ...] = field(default=())
    """One line for anything a reader of the results should know, such as rows left out."""

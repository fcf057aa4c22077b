"""Two parts of the examples: one to choose a model on, and one to prove that it is good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from prunecli.errors import InputError
from prunecli.evaluation.resampling import parted
from prunecli.evaluation.statistics import CONFIDENCE, Difference, answer_difference
from prunecli.pipelines.compress.expected import expected_loss
from prunecli.records.compressions import Loss, PartSizes, Targets
from prunecli.records.runs import RunRecord
from prunecli.reporting.verdicts.reach import Reach, reach
from prunecli.store.folders import PREDICTIONS
from prunecli.store.predictions import Predictions, load_predictions
from prunecli.store.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHOSEN_ON = 0.4
"""The share of the examples that models are chosen on; the claim is made on the others."""
_LEAST = 40
"""Examples below which nothing can be chosen on some and proven on the others."""


@dataclass(frozen=True)
class Parts:
    """The dense model's answers on the primary split, and which examples are for what."""

    run: RunRecord
    dense: Predictions
    choose: NDArray[np.int64]
    """Positions, ascending."""
    prove: NDArray[np.int64]

    @property
    def sizes(self) -> PartSizes:
        return PartSizes(chosen_on=len(self.choose), proven_on=len(self.prove))

    @property
    def split(self) -> str:
        return next(iter(self.run.task.splits))

    def difference(self, found: Mapping[str, Predictions], places: NDArray[np.int64]) -> Difference:
        """Dense minus ``found`` on some examples."""
        other = found[self.split]
        if not np.array_equal(other.index, self.dense.index):
            raise InputError(
                f"{self.run.name} and what was made of it were scored on other examples",
                hint="remove what was made of it, and run the same command again",
            )
        task = self.run.task
        before, after = self.dense.take(places), other.take(places)
        return answer_difference(
            task.primary_metric,
            before.labels,
            before.answers[None],
            after.answers[None],
            len(task.label_names) or 1,
        )

    def loss(
        self, found: Mapping[str, Predictions], places: NDArray[np.int64], max_drop: float
    ) -> Loss:
        """What ``found`` lost on some examples, tested against ``max_drop`` points."""
        difference = self.difference(found, places)
        return Loss(
            points=100 * difference.estimate,
            low=100 * difference.interval.low,
            high=100 * difference.interval.high,
            p_value=difference.p_below(max_drop / 100),
            examples=len(places),
        )

    def choice_loss(self, found: Mapping[str, Predictions], max_drop: float) -> Loss:
        """`loss` where candidates are chosen, with what other examples are expected to lose."""
        loss = self.loss(found, self.choose, max_drop)
        if self.run.task.primary_metric != "accuracy":
            return loss
        dense, other = self.dense.take(self.choose), found[self.split].take(self.choose)
        expected = expected_loss(dense.logits, other.logits, dense.labels)
        return loss.model_copy(
            update={"expected": 100 * expected.loss, "error": 100 * expected.error}
        )

    def reach(self, targets: Targets, differing: float) -> Reach | None:
        """What the examples to prove on could show of a model with as good a score.

        ``differing`` is the share of the answers that such a model gives otherwise.
        """
        count = len(self.prove)
        difference = self.difference({self.split: self.dense}, self.prove)
        half = differing * count / 2
        if difference.discordant is not None:
            difference = replace(difference, discordant=(half, half))
        else:
            difference = replace(difference, alone=(differing / count) ** 0.5)
        confidence = targets.confidence or CONFIDENCE
        return reach([difference], 1 - confidence, confidence, targets.max_drop)


def parts_of(
    workspace: Workspace, run: RunRecord, texts: Iterable[tuple[int, Mapping[str, str]]]
) -> Parts:
    """The parts of the examples that ``run``, which is dense, was scored on.

    They are drawn at random, always the same; equal texts are in one part, that of the first of
    them. ``texts`` has those of each example by its index. Raises `InputError` where there are too
    few.
    """
    split = next(iter(run.task.splits))
    dense = load_predictions(workspace.verify_file(run, PREDICTIONS))[split]
    known = {index: tuple(found.values()) for index, found in texts}
    return Parts(run, dense, *_apart([known[index] for index in dense.index.tolist()]))


def _apart(texts: Sequence[tuple[str, ...]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions to choose on and to prove on, ascending."""
    count, first = len(texts), dict[tuple[str, ...], int]()
    firsts = [first.setdefault(one, place) for place, one in enumerate(texts)]
    chosen, _ = parted(count, round(CHOSEN_ON * count))
    first_ones = np.isin(np.array(firsts, dtype=np.int64), chosen)
    parts = np.flatnonzero(first_ones), np.flatnonzero(~first_ones)
    if len(first) < _LEAST or min(map(len, parts)) < CHOSEN_ON * _LEAST:
        different = f", of which {len(first)} have different texts," if len(first) < count else ""
        raise InputError(
            f"{count} examples{different} are too few to choose a model on some and prove it on "
            "the others",
            hint=f"give {_LEAST} different labelled rows to score on, or more",
        )
    return parts

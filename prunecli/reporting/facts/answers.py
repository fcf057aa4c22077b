"""What models answered, read from their predictions and held against their records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunecli.errors import IntegrityError
from prunecli.evaluation.metrics import METRIC_FUNCTIONS
from prunecli.evaluation.recorded import Scored, check_scores, class_count
from prunecli.evaluation.statistics import ALPHA, Difference, answer_difference
from prunecli.store.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

Load = Callable[[str], dict[str, Predictions]]
"""From the name of a run or artefact to its predictions by split."""


@dataclass(frozen=True)
class _Given:
    """One run on one split, [examples] each."""

    index: NDArray[Any]
    labels: NDArray[Any]
    answers: NDArray[Any]
    confidences: NDArray[Any] | None
    """Probability of the class that was answered; ``None`` for a regression."""


class Answers:
    """Predicted classes (or scores) of runs, each file read once."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._known: dict[str, dict[str, _Given]] = {}
        self._beating: dict[tuple[str, ...], bool] = {}
        self._constants: dict[tuple[str, int, bytes], NDArray[Any]] = {}

    def stack(self, runs: Sequence[Scored], split: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Labels [examples] and answers [runs, examples].

        Raises `IntegrityError` when the runs were not scored on the same examples or a file does
        not hold what the run's record says.
        """
        import numpy as np

        parts = self._alike(runs, split)
        return parts[0].labels, np.stack([part.answers for part in parts])

    def confidences(self, runs: Sequence[Scored], split: str) -> NDArray[Any]:
        """[runs, examples] probability of the class that was answered; not for a regression."""
        import numpy as np

        parts = self._alike(runs, split)
        return np.stack([part.confidences for part in parts if part.confidences is not None])

    def difference(
        self,
        metric: str,
        split: str,
        first: Sequence[Scored],
        second: Sequence[Scored],
        examples: NDArray[Any] | None = None,
    ) -> Difference:
        """First minus second in ``metric``, paired by example; run i of both from the same seed.

        ``examples`` keeps only these positions.
        """
        labels, given = self.stack([*first, *second], split)
        if examples is not None:
            labels, given = labels[examples], given[:, examples]
        one, other = given[: len(first)], given[len(first) :]
        return answer_difference(metric, labels, one, other, class_count(first[0]))

    def beats_constant(self, metric: str, split: str, runs: Sequence[Scored]) -> bool:
        """Whether ``runs`` are shown to score higher than always giving the same answer.

        A one-sided paired test on the same examples, at 5%, against the class that scores highest
        when always given: for accuracy the most frequent. For a regression, whose correlation with
        a constant is 0, that is the mean.
        """
        key = (metric, split, *(run.name for run in runs))
        if key not in self._beating:
            labels, given = self.stack(runs, split)
            constant = self._best_constant(metric, labels, class_count(runs[0]))
            always = constant[None].repeat(len(given), axis=0)
            ahead = answer_difference(metric, labels, given, always, class_count(runs[0]))
            self._beating[key] = ahead.reversed().p_below(0.0) < ALPHA
        return self._beating[key]

    def _best_constant(self, metric: str, labels: NDArray[Any], classes: int) -> NDArray[Any]:
        """`_best_constant` of labels, which the runs of a section share."""
        key = (metric, classes, labels.tobytes())
        if key not in self._constants:
            self._constants[key] = _best_constant(metric, labels, classes)
        return self._constants[key]

    def index(self, run: Scored, split: str) -> NDArray[Any]:
        """[examples] position of each example in its file."""
        return self._of(run, split).index

    def _alike(self, runs: Sequence[Scored], split: str) -> list[_Given]:
        import numpy as np

        parts = [self._of(run, split) for run in runs]
        first = parts[0]
        for run, part in zip(runs, parts, strict=True):
            alike = np.array_equal(first.index, part.index)
            if not (alike and np.array_equal(first.labels, part.labels)):
                raise IntegrityError(
                    f"runs {runs[0].name} and {run.name} were scored on different examples "
                    f"of {split} though their records say the same data",
                    hint="remove one of them and run its command again",
                )
        return parts

    def check(self, run: Scored) -> None:
        """Read a run's predictions; raises `IntegrityError` unless they give its scores."""
        if run.name not in self._known:
            found = self._load(run.name)
            check_scores(run, found)
            self._known[run.name] = {name: _given(part) for name, part in found.items()}

    def _of(self, run: Scored, split: str) -> _Given:
        self.check(run)
        return self._known[run.name][split]


def _best_constant(metric: str, labels: NDArray[Any], classes: int) -> NDArray[Any]:
    """[examples] the one answer that scores highest when always given."""
    import numpy as np

    if classes == 1:
        return np.full_like(labels, labels.mean())
    score = METRIC_FUNCTIONS[metric]
    every = [np.full_like(labels, answer) for answer in range(classes)]
    return max(every, key=lambda answers: score(labels, answers, classes))


def _given(predictions: Predictions) -> _Given:
    """What is kept of a file: not the logits, which are many times as much."""
    import numpy as np

    if predictions.regression:
        return _Given(predictions.index, predictions.labels, predictions.answers, None)
    logits = predictions.logits
    best = logits.max(axis=1)
    confidences = 1 / np.exp(logits - best[:, None]).sum(axis=1)
    return _Given(predictions.index, predictions.labels, predictions.answers, confidences)

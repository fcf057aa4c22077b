"""Models that are written as they would be deployed, and timed in turns."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from prunecli.bench.estimates import fastest
from prunecli.bench.measure import measure
from prunecli.errors import InputError
from prunecli.models.loading import save_weights
from prunecli.models.madeup import MadeUp
from prunecli.pipelines.contenders import Subject, keeping, opened_alike
from prunecli.pipelines.deployments import DEPLOYMENTS
from prunecli.pipelines.exports import ExportedModel
from prunecli.progress import Progress, Silent
from prunecli.records.benches import InputShape
from prunecli.records.cuts import Speed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from prunecli.pipelines.exports.base import Batch


class Timer:
    """Writes models as they are deployed, and times what is written; see `timer`."""

    def __init__(self, folder: Path, config: Any, speed: Speed, progress: Progress) -> None:
        self._folder, self._config, self._progress = folder, config, progress
        self._speed, self._deployment = speed, DEPLOYMENTS.get(speed.deployment)
        self._written = 0

    def write(self, model: PreTrainedModel, title: str) -> Subject:
        """The model as it is deployed; only its shapes count, so its weights may be any."""
        self._written += 1
        source, out = (self._folder / f"{name}-{self._written}" for name in ("model", "deployed"))
        save_weights(model, source)
        out.mkdir()
        exported = ExportedModel(source, source, frozenset(), Silent(), self._made_up)
        self._deployment.format.write(exported, out, self._deployment.settings)
        shutil.rmtree(source)
        format_ = self._deployment.format
        return Subject(title, None, format_.runtime, format_.opens(out), file_bytes=0)

    def is_deployed(self, dense: Subject) -> bool:
        """Whether a dense model that is opened so is as the deployment has it."""
        deployment = self._deployment
        return not deployment.settings and dense.runtime == deployment.format.runtime

    def rounds(self, subjects: Sequence[Subject], rounds: int) -> list[list[float] | InputError]:
        """Milliseconds of an answer of each, the median of each round; or why it does not count."""
        speed = self._speed
        shape = InputShape(batch=speed.batch, tokens=speed.tokens)
        found = measure(
            opened_alike(subjects, self._config, threads=speed.threads),
            [shape],
            rounds=rounds,
            starts=1,
            progress=self._progress,
        )
        return [
            one if isinstance(one, InputError) else [median(calls) for calls in one.rounds[shape]]
            for one in keeping(subjects, found)
        ]

    def _made_up(self, count: int) -> Sequence[Batch]:
        """Calibration examples without meaning: speed does not hang on what is in them."""
        return [MadeUp.of(self._config)(self._speed.batch, self._speed.tokens)] * 2


def fastest_of(found: Sequence[list[float] | InputError]) -> tuple[int, list[float]]:
    """Place and times of the fastest of those that count; the first `InputError` for none."""
    times = {place: each for place, each in enumerate(found) if not isinstance(each, InputError)}
    if not times:
        raise next(each for each in found if isinstance(each, InputError))
    place = list(times)[fastest(list(times.values()))]
    return place, times[place]


@contextmanager
def timer(config: Any, speed: Speed, progress: Progress) -> Iterator[Timer]:
    """A `Timer` for models of ``config`` that are deployed as ``speed`` says.

    What it writes is gone when the block ends.
    """
    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as folder:
        yield Timer(Path(folder), config, speed, progress)

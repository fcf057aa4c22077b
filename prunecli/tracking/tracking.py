"""A run of every tracker that is asked for, for each point that is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from prunecli.files import files_in
from prunecli.machine.extras import check_installed
from prunecli.records.runs import RunRecord, Spec, run_name
from prunecli.tracking.base import Ended, Group, Tracker, Values, own_environment

if TYPE_CHECKING:
    from transformers import TrainerCallback

TRACKERS: Final = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "Wandb"}
"""By the name of the module, which is also that of the extra and of the package: the class."""


def check_trackers(names: Sequence[str]) -> None:
    """Raise `InputError` where the package of one of them is missing; nothing is imported."""
    for name in names:
        check_installed(name, extra=name, purpose=f"--track {name}")


@dataclass(frozen=True)
class Asked:
    """What is to be tracked of one command, so that every process of it can be told."""

    names: tuple[str, ...] = ()
    folder: str = ""
    """Of the workspace, for trackers."""
    command: str = ""
    group: str = ""
    parents: tuple[tuple[str, str], ...] = ()
    """By tracker what stands above the runs of this command."""

    @classmethod
    def of(cls, names: Sequence[str], folder: Path, command: str) -> Asked:
        """That of a command which begins now; its group is named by command and time."""
        verb = [*command.split(), "", ""][1]
        at = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%f}"[:-3]
        return cls(tuple(dict.fromkeys(names)), str(folder.absolute()), command, f"{verb}-{at}")


class Tracking:
    """The trackers of one process.

    None of them can make a point fail: one that raises is told once, and left out from then on.
    As a context it closes what the process of the command opened.
    """

    def __init__(
        self, asked: Asked | None = None, tell: Callable[[str], object] = lambda _: None
    ) -> None:
        self._asked, self._tell = asked or Asked(), tell
        self._left = list(self._asked.names)
        self._trackers: dict[str, Tracker] = {}
        self._open = False

    def run(self, spec: Spec, make: Callable[[], RunRecord], folder: Path) -> RunRecord:
        """What ``make`` makes, tracked as the run of ``spec``, whose ``folder`` it fills."""
        if not self._left:
            return make()
        settings = flat(spec.model_dump(mode="json"))
        self._open = True
        ended: Ended = "killed"
        try:
            self._each(lambda tracker: tracker.open(run_name(spec), settings))
            record = make()
            ended = "finished"
            self._each(lambda tracker: tracker.log(results(record, folder)))
        except Exception:
            ended = "failed"
            raise
        finally:
            self._open = False
            self._each(lambda tracker: tracker.close(ended))
        return record

    def callbacks(self) -> list[TrainerCallback]:
        """What Trainer tells of the training of the run that is open."""
        found = list[Any]()
        if self._open:
            from prunecli.tracking.guarded import Guarded

            for name in tuple(self._left):
                made = self._attempt(name, lambda tracker: tracker.callback())
                if made is not None:
                    attempt = partial(self._callback, name)
                    found.append(Guarded(made, attempt))
        return found

    def shared(self) -> Asked:
        """What another process needs to track runs of the same command."""
        begun = {
            name: self._attempt(name, lambda tracker: tracker.begin()) for name in tuple(self._left)
        }
        parents = tuple((name, parent) for name, parent in begun.items() if parent is not None)
        return replace(self._asked, names=tuple(self._left), parents=parents)

    def __enter__(self) -> Tracking:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stopped: Ended = "failed" if isinstance(error, Exception) else "killed"
        ended: Ended = "finished" if error is None else stopped
        for name in tuple(self._trackers):
            self._attempt(name, lambda tracker: tracker.end(ended))

    def _each(self, do: Callable[[Tracker], object]) -> None:
        for name in tuple(self._left):
            self._attempt(name, do)

    def _callback(self, name: str, do: Callable[[], object]) -> None:
        self._attempt(name, lambda _: do())

    def _attempt(self, name: str, do: Callable[[Tracker], Any]) -> Any:
        """What ``do`` gives; ``None`` where the tracker fails, now or before."""
        if name not in self._left:
            return None
        with own_environment(Path(self._asked.folder)):
            try:
                return do(self._tracker(name))
            except Exception as error:
                self._left.remove(name)
                reason = " ".join(str(error).split())[:200]
                self._tell(
                    f"{name} tracks no more of this command: {type(error).__name__}: {reason}"
                )
                tracker = self._trackers.pop(name, None)
                if tracker is not None:
                    with suppress(Exception):
                        tracker.close("failed")
                    with suppress(Exception):
                        tracker.end("failed")
        return None

    def _tracker(self, name: str) -> Tracker:
        if name not in self._trackers:
            kind = getattr(import_module(f"prunecli.tracking.{name}"), TRACKERS[name])
            folder, parent = Path(self._asked.folder), dict(self._asked.parents).get(name, "")
            group = Group(folder, self._asked.group, self._asked.command)
            self._trackers[name] = kind(group, parent)
        return self._trackers[name]


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, str | int | float | bool]:
    """The fields of a specification by one name each, as ``training.epochs``."""
    found: dict[str, str | int | float | bool] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{key}.")
        elif isinstance(value, (str, int, float)):
            found[f"{above}{key}"] = value
        else:
            several = isinstance(value, (list, tuple))
            found[f"{above}{key}"] = " ".join(map(str, value)) if several else "none"
    return found


def results(record: RunRecord, folder: Path) -> Values:
    """What a run came to: scores as ``final/SPLIT/METRIC``, sparsity, parameters and bytes."""
    scores = {
        f"final/{split}/{metric}": value
        for split, metrics in record.metrics.items()
        for metric, value in metrics.items()
    }
    size = sum(path.stat().st_size for path in files_in(folder).values())
    return {
        **scores,
        "final/sparsity": record.sparsity,
        "final/parameters": record.model.parameters,
        "final/nonzero_parameters": record.model.nonzero_parameters,
        "final/bytes": size,
    }

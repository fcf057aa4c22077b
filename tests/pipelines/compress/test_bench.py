"""What becomes of a candidate that cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from prunecli.errors import BusyError, InputError
from prunecli.pipelines.compress.bench import Workbench
from prunecli.pipelines.compress.changes import cut
from prunecli.pipelines.job import Job
from prunecli.progress import Silent
from prunecli.settings.loading import load_settings
from prunecli.store.workspace import Workspace


def failing(folder: Path, patch: pytest.MonkeyPatch, error: Exception) -> Workbench:
    """A workbench on which nothing can be made."""

    def run(self: Workbench, change: object) -> None:
        raise error

    patch.setattr(Workbench, "run", run)
    job = Job(load_settings({}), Workspace(folder), "prune compress", Silent())
    unused = cast("Any", None)
    return Workbench(job, unused, unused, unused, unused, list, lambda _: True)


@pytest.mark.parametrize("error", [InputError("no heads"), RuntimeError("a fault of a library")])
def test_it_is_passed_over_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bench = failing(tmp_path, monkeypatch, error)
    assert bench.model(cut(0.5, 0.5)) is None
    (told,) = bench.passed_over.values()
    assert str(error) in told


def test_what_another_process_makes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the search would go on as if it could not be made, and keep that for good."""
    store = Workspace(tmp_path).prepare()
    with store.lock("x"), pytest.raises(BusyError) as busy, store.lock("x"):
        pass
    bench = failing(tmp_path, monkeypatch, busy.value)
    with pytest.raises(BusyError):
        bench.model(cut(0.5, 0.5))
    assert not bench.passed_over

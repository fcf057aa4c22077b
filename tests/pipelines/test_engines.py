"""Points of a grid made apart from each other: in any order, and in processes of their own."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from calling import SWEEP, TINY, Called, refused
from cli.test_same_bytes import without_times

from pipelines.apart import do as apart
from prunecli.data.guess import Said
from prunecli.errors import BusyError, InputError
from prunecli.files import files_in
from prunecli.machine.extras import installed
from prunecli.pipelines import spread
from prunecli.pipelines.engines import sizing, work
from prunecli.pipelines.engines.local import LocalEngine
from prunecli.pipelines.engines.loop import Loop
from prunecli.pipelines.engines.sizing import Asked, Model, jobs_for
from prunecli.pipelines.engines.work import Call, Done, Work, do
from prunecli.pipelines.job import Job
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.prune import made, prepared
from prunecli.progress import Silent
from prunecli.records.runs import PrunedSpec, TrainingSpec, run_name
from prunecli.settings.model import Settings
from prunecli.store.folders import MODEL
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
GRID = [*SWEEP, "--baseline-epochs", "1", "--epochs", "0"]


def specs_of(workspace: Workspace) -> list[PrunedSpec]:
    """Of the global runs of `swept`, in ascending order of level."""
    runs = [workspace.get(name) for name in workspace.names() if "-global-" in name]
    return [run.spec for run in runs if isinstance(run.spec, PrunedSpec)]


def test_a_level_below_one_that_was_made_is_as_if_it_came_first(workspace: Workspace) -> None:
    """As where another process had it, and ended without making it."""
    specs = specs_of(workspace)
    assert [spec.level for spec in specs] == [0.5, 0.8]
    before = {run_name(spec): workspace.get(run_name(spec)) for spec in specs}
    for name in before:
        workspace.remove(name)
    job = Job(Settings(demo=True, keep_models="all"), workspace, "")
    make = prepared(job, workspace.get(specs[0].source), specs, None)
    for spec in reversed(specs):
        run = made(job, spec, make).record
        own = before[run.name].files
        for file in (f"{MODEL}/model.safetensors", "mask.safetensors", "predictions.safetensors"):
            assert run.files[file] == own[file], (run.name, file)


# Processes


def test_a_killed_process_is_one_work_lost_or_done_again(tmp_path: Path) -> None:
    """And no other: each has a process to itself."""
    asked = [("", ""), ("die", str(tmp_path / "a")), ("once", str(tmp_path / "b"))]
    asked.append(("told", str(tmp_path / "c")))
    with LocalEngine(apart, 2, 3) as engine:
        first, killed, again, last = [engine.submit(work) for work in asked]
        with pytest.raises(InputError, match="killed or ended 2 times"):
            killed.result(60)
        for future in (first, again, last):
            process, threads = future.result(60)
            assert process != os.getpid()
            assert threads == "3"


def test_an_interrupt_stops_all_processes_and_they_clear_up(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]

    def interrupted() -> None:
        with LocalEngine(apart, 2, 1) as engine:
            futures.extend(engine.submit(("wait", str(file))) for file in files)
            while not all(file.exists() for file in files[:2]):
                time.sleep(0.02)
            raise KeyboardInterrupt

    futures = list[Future[Any]]()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(future.done() for future in futures)
    assert [file.read_text() for file in files[:2]] == ["cleared up"] * 2
    assert not files[2].exists()


def lasting(root: Path) -> dict[str, Any]:
    """By its name what is in each file of a workspace, but for times and commands."""
    found: dict[str, Any] = {}
    for name, path in files_in(root).items():
        if name.startswith(("cache/", "locks/")):
            continue
        found[name] = path.read_bytes()
        if (path.suffix == ".json" and not name.startswith("runs/")) or path.name == "record.json":
            found[name] = without_times(json.loads(path.read_text()))
            del found[name]["command"]
        elif path.name == "README.md":
            lines = path.read_text().splitlines()
            found[name] = [x for x in lines if "**Made:**" not in x and not x.startswith("prune ")]
    return found


# In what order


class Notes(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, text: str) -> None:
        self.told.append(text)


def carried(value: Any) -> Any:
    """What another process gets of it."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301


class Here:
    """An engine that does all in this process, when it gets it."""

    def __init__(self, do: Callable[[Work], Done]) -> None:
        self.do, self.order = do, list[str]()

    def submit(self, one: Work) -> Future[Done]:
        self.order.append(f"{one.name}{' waits' if one.waits else ''}")
        future = Future[Done]()
        future.set_result(carried(self.do(carried(one))))
        return future

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def check_two_jobs(prune: Prune, swept: Workspace, root: Path, *words: str) -> None:
    """Two jobs make the two layer-wise runs of `swept`, where its other runs stand."""
    copied = shutil.ignore_patterns("cache", "sweeps", "*-layerwise-*", "locks")
    shutil.copytree(swept.root, root, ignore=copied)
    done = prune("sweep", *GRID, "-w", root, "--jobs", 2, "--json", *words)
    assert done.code == 0, done.err
    assert [run["reused"] for run in done.json["runs"]] == [True] * 3 + [False] * 2
    assert [run["machine"]["threads"] for run in done.json["runs"]] == [1] * 5
    told = [line.split()[0] for line in done.err.splitlines() if " so far" not in line]
    assert told == ["found"] * 3 + ["made"] * 2 + ["2", "next:"], done.err
    ours, theirs = lasting(root), lasting(swept.root)
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if ours[name] != theirs[name]]
    (sweep,) = (name for name in ours if name.startswith("sweeps/"))
    assert different == [sweep]  # which says that three were found
    assert [p["run"] for p in ours[sweep]["points"]] == [p["run"] for p in theirs[sweep]["points"]]


@pytest.mark.slow
def test_two_processes_leave_the_bytes_of_one(
    prune: Prune, swept: Workspace, tmp_path: Path
) -> None:
    check_two_jobs(prune, swept, tmp_path / "workspace")


@pytest.mark.slow
def test_ray_leaves_the_bytes_of_one(prune: Prune, swept: Workspace, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    check_two_jobs(prune, swept, tmp_path / "workspace", "--engine", "ray")


def test_two_jobs_leave_the_bytes_of_one(
    prune: Prune, swept: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that two processes do, but in this one, which has imported what they need."""
    monkeypatch.setattr(work, "set_threads", lambda _: None)
    monkeypatch.setattr(spread, "LocalEngine", lambda do, jobs, threads, own: Here(do))
    check_two_jobs(prune, swept, tmp_path / "workspace")


def call(workspace: Workspace) -> Call:
    settings = Settings(demo=True)
    return Call(settings, str(workspace.root), "", Said(), None, (), 1, str(Path.cwd()))


def test_a_chain_goes_level_by_level_and_what_a_peer_has_comes_last(swept: Workspace) -> None:
    first, second = specs_of(swept)
    chain = (first, second.model_copy(update={"after": run_name(first)}))
    names = [run_name(spec) for spec in chain]
    record = swept.get(run_name(first))

    def do(work: Work) -> Done:
        if work.name == "busy" and not work.waits:
            error = BusyError("run busy is being made by another prune process in w", hint="wait")
            return Done(Failure("busy", error), ("note",))
        return Done(Outcome(record, reused=False), ("note",))

    notes, engine = Notes(), Here(do)
    loop = Loop(Job(Settings(), swept, "", notes), engine, 1)
    shared = call(swept)
    loop.put(Work(shared, "busy", "sst2", 42))
    loop.put(Work(shared, names[0], "sst2", 42, baseline="b", group=chain))
    loop.put(Work(shared, "other", "sst2", 42))
    settled = [work.name for work, _ in loop.settled()]
    assert engine.order == ["busy", *names, "other", "busy waits"]
    assert settled == [*names, "other", "busy"]
    assert notes.told == ["note", f"{busy_text()}: it is waited for, last"]


def busy_text() -> str:
    return "run busy is being made by another prune process in w"


def test_a_machine_with_another_folder_or_version_does_nothing(
    swept: Workspace, tmp_path: Path
) -> None:
    asked = Work(call(swept), "sst2-baseline-s42", "sst2", 42)
    for change, said in (
        ({"version": "0.0"}, "the sweep is of 0.0"),
        ({"mark": str(tmp_path / "mark")}, "does not see"),
        ({"folder": str(tmp_path / "gone")}, "does not see"),
    ):
        done = do(replace(asked, call=replace(asked.call, **change)))
        assert isinstance(done.outcome, Failure)
        assert isinstance(done.outcome.error, InputError)
        assert said in str(done.outcome.error)


def test_a_failure_is_the_same_from_another_process() -> None:
    def wrong() -> None:
        raise InputError("no such file", hint="look elsewhere")

    def fault() -> None:
        raise RuntimeError("what nobody thought of")

    for make in (wrong, fault):
        here = attempt("run", make)
        assert isinstance(here, Failure)
        there = carried(here)
        assert type(there.error) is type(here.error)
        told = (str(here.error), here.error.hint, here.error.trace, here.error.exit_code)
        error = there.error
        assert (str(error), error.hint, error.trace, error.exit_code) == told
        assert make.__name__ in error.trace


# How many


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "available_cores", lambda: 8)
    monkeypatch.setattr(sizing, "free_memory", lambda _: 4 * 2**30)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("jobs", "parameters", "change", "expected"),
    [
        (None, 66_000_000, {}, 2),  # 2.3e11 parameters times answers
        (None, 250_000_000, {}, 1),  # 4 GiB over 600 MiB and twice 1 GB: two have no room
        (None, 10_000_000, {}, 1),  # not worth a process
        (None, 66_000_000, {"criterion": "wanda"}, 1),  # learns from sums whose order depends
        (None, 66_000_000, {"recovery": TrainingSpec()}, 1),
        (2, 10_000_000, {"criterion": "wanda"}, 2),
        (5, 10_000_000, {"recovery": TrainingSpec()}, 4),  # as many as there are points
        (4, 66_000_000, {"recovery": TrainingSpec()}, 2),  # 1.06 GB of optimiser and more each
        (1, 66_000_000, {}, 1),
    ],
)
def test_how_many_are_made_side_by_side(
    swept: Workspace, jobs: int | None, parameters: int, change: dict[str, Any], expected: int
) -> None:
    like = specs_of(swept)[0].model_copy(update=change)
    groups = [[like.model_copy(update={"level": level}) for level in (0.5, 0.6, 0.7, 0.8)]]
    notes = Notes()
    job = Job(Settings(device="cpu"), swept, "", notes)
    asked, model = Asked(jobs=jobs), Model(parameters, 872)
    assert jobs_for(job, asked, model, groups) == expected
    told = jobs is not None and min(jobs, 4) > expected
    assert [("have no room" in text) for text in notes.told] == [True] * told
    chained = [spec.model_copy(update={"after": "x"}) for spec in groups[0]]
    assert jobs_for(job, asked, model, [chained]) == 1


def test_what_makes_no_sense_is_refused(prune: Prune, tmp_path: Path) -> None:
    sweep = ["sweep", *TINY, "--task", "sst2", "-w", tmp_path]
    refused(prune(*sweep, "--engine", "rai"), 2, "no engine 'rai'", "did you mean 'ray'")
    refused(prune(*sweep, "--ray-address", "auto"), 2, "--engine ray")
    refused(prune(*sweep, "--jobs", "2", "--faster", "2"), 2, "nothing beside it")
    refused(prune(*sweep, "--job-threads", "5000"), 2, "--job-threads 5000 on")
    refused(prune(*sweep, "--engine", "ray", "--ray-address", "ray://a:1"), 2, "no --ray-address")
    if not installed("ray"):
        refused(prune(*sweep, "--engine", "ray"), 3, "needs the package ray", "prunecli[ray]")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_how_many(prune: Prune, workspace: Workspace) -> None:
    asked = ["sweep", *GRID, "-w", workspace.root, "--dry-run"]
    assert prune(*asked, "--json").json["jobs"] == 1  # all of it stands
    shutil.rmtree(workspace.runs_dir)
    done = prune(*asked, "--jobs", 2)
    assert "2 jobs at a time, with 1 thread each" in done.out
    assert "1 job at a time, with 1 thread each" in prune(*asked).out

"""``--track``: what trackers are told, where it lies, and that runs do not depend on it."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from calling import SWEEP, TINY, Called, called_apart, refused

from prunecli.records.runs import RunRecord
from prunecli.store.workspace import Workspace
from prunecli.tracking import tensorboard
from prunecli.tracking.base import own_environment
from prunecli.tracking.tracking import Asked, Tracking, flat

Prune = Callable[..., Called]
GRID = [*SWEEP, "--baseline-epochs", "1", "--epochs", "0"]


class Recorder:
    """A tracker that writes down what it is told, and raises at the step called ``fails``."""

    told: ClassVar[list[tuple[Any, ...]]] = []
    fails: ClassVar[str] = ""

    def __init__(self, group: Any, parent: str) -> None:
        self.step("begin", group.name.partition("-")[0])

    def step(self, *what: Any) -> None:
        if what[0] == self.fails:
            raise ConnectionError(f"no {what[0]}")
        self.told.append(what)

    def open(self, name: str, settings: Any) -> None:
        os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///its-own"
        self.step("open", name, settings["seed"])

    def callback(self) -> Recorder:
        return self

    def on_log(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        self.step("on_log", named["logs"])

    def log(self, results: Any) -> None:
        self.step("log", results)

    def close(self, ended: str) -> None:
        self.step("close", ended)

    def end(self, ended: str) -> None:
        self.step("end", ended)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> type[Recorder]:
    """In place of TensorBoard."""
    monkeypatch.setattr(Recorder, "told", [])
    monkeypatch.setattr(tensorboard, "TensorBoard", Recorder)
    monkeypatch.setattr("prunecli.machine.extras.find_spec", lambda _: True)
    return Recorder


# Without the packages


@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_is_told_before_any_work(
    prune: Prune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: str
) -> None:
    monkeypatch.setattr("prunecli.machine.extras.find_spec", lambda _: None)
    done = prune("sweep", *GRID, "--track", tracker, "-w", tmp_path / "w")
    refused(done, 3, f"--track {tracker} needs", f"pip install 'prunecli[{tracker}]'")
    assert not (tmp_path / "w").exists()


def test_what_cannot_be_tracked_is_refused(prune: Prune, tmp_path: Path) -> None:
    refused(prune("sweep", *GRID, "--track", "comet", "-w", tmp_path / "w"), 2, "mlflow")
    ray = ("--engine", "ray", "--track", "mlflow")
    refused(prune("sweep", *GRID, *ray, "-w", tmp_path / "w"), 2, "--engine ray")


def test_runs_and_sweeps_have_the_names_that_they_have_untracked(
    prune: Prune, workspace: Workspace, recorder: type[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found finished is not tracked again, and what is made again is the same."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.invalid")
    names, sweeps = workspace.names(), sorted(workspace.sweeps_dir.iterdir())
    again = next(name for name in names if "-global-magnitude-80-" in name)
    before = workspace.get(again)
    workspace.remove(again)
    done = prune("sweep", *GRID, "--jobs", 1, "--track", "tensorboard", "-w", workspace.root)
    assert done.code == 0, done.err
    assert workspace.names() == names
    assert sorted(workspace.sweeps_dir.iterdir()) == sweeps
    after = workspace.get(again)
    assert after.spec == before.spec
    weights = [name for name in before.files if name.endswith(".safetensors")]
    assert len(weights) == 3
    assert {name: after.files[name] for name in weights} == {
        name: before.files[name] for name in weights
    }
    begin, opened, logged, closed, ended = recorder.told
    assert (begin, opened) == (("begin", "sweep"), ("open", again, 42))
    assert (closed, ended) == (("close", "finished"), ("end", "finished"))
    assert logged[1]["final/validation/accuracy"] == after.metrics["validation"]["accuracy"]
    assert logged[1]["final/sparsity"] == after.sparsity
    assert logged[1]["final/bytes"] == workspace.bytes_of(again)
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://tracking.invalid"


def told_of(run: RunRecord, folder: Path) -> tuple[list[str], RunRecord]:
    """Notices of a run in whose training one line is logged, and what comes of it."""
    notices: list[str] = []

    def make() -> RunRecord:
        for callback in tracking.callbacks():
            callback.on_log(None, None, None, logs={"loss": 1.0})
            callback.on_epoch_end(None, None, None)  # of which a Recorder knows nothing
        return run

    with Tracking(Asked.of(("tensorboard",), folder, "prune prune"), notices.append) as tracking:
        made = tracking.run(run.spec, make, folder)
        assert tracking.run(run.spec, make, folder) is run
    return notices, made


@pytest.mark.parametrize("step", ["begin", "open", "on_log", "log", "close", "end"])
def test_a_tracker_that_fails_is_told_once_and_fails_nothing(
    swept: Workspace,
    pruned: str,
    recorder: type[Recorder],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    monkeypatch.setattr(recorder, "fails", step)
    monkeypatch.setattr(Recorder, "on_epoch_end", lambda *_: None, raising=False)
    run = swept.get(pruned)
    notices, made = told_of(run, swept.run_dir(pruned))
    assert made is run
    assert notices == [f"tensorboard tracks no more of this command: ConnectionError: no {step}"]


@pytest.mark.parametrize(
    ("error", "ended"), [(KeyboardInterrupt(), "killed"), (ValueError("no"), "failed")]
)
def test_runs_are_closed_however_a_point_ends(
    swept: Workspace, pruned: str, recorder: type[Recorder], error: BaseException, ended: str
) -> None:
    run = swept.get(pruned)

    def make() -> RunRecord:
        raise error

    asked = Asked.of(("tensorboard",), swept.root, "prune sweep")
    with pytest.raises(type(error)), Tracking(asked) as tracking:
        tracking.run(run.spec, make, swept.root)
    assert recorder.told[-2:] == [("close", ended), ("end", ended)]
    assert not any(what[0] == "log" for what in recorder.told)


def test_an_interrupt_while_a_run_is_opened_closes_it(
    swept: Workspace, pruned: str, recorder: type[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = swept.get(pruned)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recorder, "open", interrupted)
    tracking = Tracking(Asked.of(("tensorboard",), swept.root, "prune sweep"))
    with pytest.raises(KeyboardInterrupt):
        tracking.run(run.spec, lambda: run, swept.root)
    assert recorder.told[-1] == ("close", "killed")


def test_the_environment_is_the_users_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.invalid")
    before = dict(os.environ)
    with own_environment(tmp_path):
        assert os.environ["WANDB_MODE"] == "offline"
        assert "MLFLOW_TRACKING_URI" not in os.environ
        os.environ["MLFLOW_RUN_ID"] = "1"
    assert dict(os.environ) == before


def test_settings_have_one_name_each() -> None:
    nested = {"a": {"b": 1, "c": {"d": None}}, "e": ["x", 2], "f": True}
    assert flat(nested) == {"a.b": 1, "a.c.d": "none", "e": "x 2", "f": True}


# With them


@contextmanager
def proxy() -> Iterator[tuple[str, list[object]]]:
    """An address that everything is sent by which goes over the network, and who came to it."""
    came: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        yield f"http://127.0.0.1:{server.getsockname()[1]}", came
        with ExitStack() as stack:  # who came waits in the backlog
            try:
                came.append(stack.enter_context(server.accept()[0]))
            except TimeoutError:
                return


@pytest.fixture
def tracked(tmp_path: Path) -> Callable[[str], Workspace]:
    """A workspace with a trained baseline, a point without training and two side by side."""

    def make(tracker: str) -> Workspace:
        pytest.importorskip(tracker, reason=f"the extra prunecli[{tracker}] is not installed")
        common = (*TINY, "--task", "sst2", "--baseline-epochs", 1, "-w", "w", "--track", tracker)
        away = re.compile("(?i)wandb_|mlflow_|.*proxy|pytest|ci$|github")
        left = {name: value for name, value in os.environ.items() if not away.match(name)}
        with proxy() as (address, came):
            names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
            hostile = {"WANDB_MODE": "online", "MLFLOW_TRACKING_URI": address}
            trained = ("--epochs", 1, "--recipe", "none", "--jobs", 2)
            done = called_apart(
                [
                    ("sweep", *common, "--levels", 0.5, "--jobs", 1),
                    ("sweep", *common, "--levels", 0.6, 0.7, *trained),
                ],
                where=tmp_path,
                environment={
                    **left,
                    **dict.fromkeys(names, address),
                    **hostile,
                    "HOME": str(tmp_path / "home"),
                    "PYTHONPATH": os.pathsep.join(sys.path),
                },
            )
            assert [one.code for one in done] == [0, 0], done
            assert not any("tracks no more" in one.err for one in done), done
        assert came == []
        assert [one for one in (tmp_path / "mlruns", tmp_path / "home") if one.exists()] == []
        workspace = Workspace(tmp_path / "w")
        assert len(workspace.names()) == 4
        assert not any(workspace.tracking_dir.rglob("*.safetensors"))
        assert not any(workspace.tracking_dir.rglob("*.py"))
        return workspace

    return make


@pytest.mark.slow
def test_tensorboard_reads_what_was_written(tracked: Callable[[str], Workspace]) -> None:
    workspace = tracked("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    root = workspace.tracking_dir / "tensorboard"
    assert sorted(path.name for path in root.iterdir()) == workspace.names()
    for name in workspace.names():
        found = EventAccumulator(str(root / name)).Reload()
        run = workspace.get(name)
        assert ("train/loss" in found.Tags()["scalars"]) == (run.training is not None)
        (accuracy,) = found.Scalars("final/validation/accuracy")
        assert accuracy.value == pytest.approx(run.metrics["validation"]["accuracy"])
        (size,) = found.Scalars("final/bytes")
        assert size.value == workspace.bytes_of(name)


@pytest.mark.slow
def test_mlflow_reads_what_was_written(tracked: Callable[[str], Workspace]) -> None:
    workspace = tracked("mlflow")
    import mlflow

    address = f"sqlite:///{(workspace.tracking_dir / 'mlflow.db').absolute()}"
    client = mlflow.MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("prune")
    assert experiment.artifact_location == (workspace.tracking_dir / "artifacts").as_uri()
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    parents = {run.info.run_id: run for run in runs if "prune.command" in run.data.tags}
    assert len(parents) == 2
    found = {run.info.run_name: run for run in runs if run.info.run_id not in parents}
    assert sorted(found) == workspace.names()
    for name, run in found.items():
        record = workspace.get(name)
        above = parents[run.data.tags["mlflow.parentRunId"]]
        assert above.data.tags["prune.command"] == record.command
        assert run.data.params["spec.seed"] == "42"
        assert run.data.metrics["final/sparsity"] == pytest.approx(record.sparsity)
        assert run.data.metrics["final/bytes"] == workspace.bytes_of(name)
        assert ("loss" in run.data.metrics) == (record.training is not None)
        assert not client.list_artifacts(run.info.run_id)


@pytest.mark.slow
def test_wandb_keeps_offline_runs(tracked: Callable[[str], Workspace]) -> None:
    workspace = tracked("wandb")
    kept = sorted((workspace.tracking_dir / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(kept) == 4
    written = [path.read_bytes() for path in kept]
    groups = {re.findall(rb"sweep-[0-9]{8}T[0-9]{6}\.[0-9]{3}", one)[0] for one in written}
    assert len(groups) == 2
    assert all(b"final/bytes" in one for one in written)
    for name in workspace.names():
        run = workspace.get(name)
        if run.level:  # a baseline is in the settings of its points, too
            (own,) = [one for one in written if name.encode() in one]
            assert (b"train/loss" in own) == (run.training is not None)

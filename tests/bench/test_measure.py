"""Real processes with a tiny model: what they answer, how they fail, and that none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prunecli.bench import measure as measuring
from prunecli.bench.measure import measure
from prunecli.bench.process import started
from prunecli.bench.protocol import Calls, Model
from prunecli.errors import InputError
from prunecli.models.madeup import MadeUp
from prunecli.progress import Silent
from prunecli.records.benches import InputShape
from tests.bench.making import tiny_onnx


def model(path: Path, runtime: str = "onnxruntime") -> Model:
    return Model(
        runtime=runtime,
        path=str(path),
        threads=1,
        cores=(),
        made_up=MadeUp(vocabulary=50),
    )


def children() -> set[int]:
    tasks = Path(f"/proc/{os.getpid()}/task")
    if not tasks.is_dir():
        pytest.skip("only Linux tells the children of a process")
    listed = [task / "children" for task in tasks.iterdir()]
    return {int(pid) for path in listed if path.exists() for pid in path.read_text().split()}


def test_every_contender_answers_in_every_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_WARM_MS", 1.0)
    monkeypatch.setattr(measuring, "_BLOCK_MS", 1.0)
    path, before = tiny_onnx(tmp_path / "model.onnx"), children()
    shapes = [InputShape(batch=1, tokens=8), InputShape(batch=3, tokens=5)]
    found = measure(
        [("one", model(path)), ("two", model(path))],
        shapes,
        rounds=5,
        starts=2,
        progress=Silent(),
    )
    assert len(found) == 2
    for one in found:
        assert one.version.startswith("onnxruntime ")
        assert len(one.start_seconds) == 2
        assert one.memory_bytes > 1 << 20
        assert one.answer == found[0].answer != ()
        assert list(one.rounds) == shapes
        for rounds in one.rounds.values():
            assert len(rounds) == 5
            assert len({len(calls) for calls in rounds}) == 1
            assert all(ms > 0 for calls in rounds for ms in calls)
    assert children() <= before


def test_one_that_is_started_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_WARM_MS", 1.0)
    monkeypatch.setattr(measuring, "_BLOCK_MS", 1.0)
    usual = model(tiny_onnx(tmp_path / "model.onnx"))
    once = usual.model_copy(update={"once": True, "processor_time": True})
    shape = InputShape(batch=1, tokens=8)
    pairs = [("one", usual), ("two", once)]
    one, two = measure(pairs, [shape], rounds=2, starts=2, progress=Silent())
    assert isinstance(one, measuring.Measured)
    assert isinstance(two, measuring.Measured)
    assert (len(one.start_seconds), len(two.start_seconds)) == (2, 1)
    assert two.answer == one.answer
    assert all(ms >= 0 for calls in two.rounds[shape] for ms in calls)


def test_a_worker_answers_as_often_and_as_long_as_asked(tmp_path: Path) -> None:
    with started("tiny", model(tiny_onnx(tmp_path / "model.onnx"))) as worker:
        few = worker.times(Calls(batch=2, tokens=4, count=5))
        assert len(few.nanoseconds) == 5
        long = worker.times(Calls(batch=2, tokens=4, count=1, milliseconds=20.0))
        assert len(long.nanoseconds) > 1
        assert sum(long.nanoseconds) < 2e9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "absent.onnx", r"tiny: no file"),
        (lambda folder: _broken(folder / "broken.onnx"), r"tiny: ONNX Runtime cannot use"),
        (
            lambda folder: tiny_onnx(folder / "other.onnx", first_input="pixels"),
            r"tiny: onnxruntime does not answer: .*pixels",
        ),
    ],
)
def test_a_model_that_does_not_answer(tmp_path: Path, make: object, message: str) -> None:
    assert callable(make)
    before = children()
    with pytest.raises(InputError, match=message), started("tiny", model(make(tmp_path))):
        pass
    assert children() <= before


def _broken(path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    path.write_bytes(b"no graph")
    return path


def test_a_process_that_dies_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "model.onnx")
    with started("tiny", model(path)) as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(InputError, match="the process that measures tiny ended"):
            worker.times(Calls(batch=1, tokens=1, count=1))


def test_none_is_left_when_the_block_is_left_by_an_error(tmp_path: Path) -> None:
    path, before = tiny_onnx(tmp_path / "model.onnx"), children()
    with pytest.raises(KeyboardInterrupt), started("tiny", model(path)):
        raise KeyboardInterrupt
    assert children() <= before


def test_what_libraries_print_does_not_reach_the_replies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a module that is imported at the start of every Python process
    (tmp_path / "sitecustomize.py").write_text("print('a library greets')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tiny_onnx(tmp_path / "model.onnx")
    with started("tiny", model(path)) as worker:
        assert len(worker.times(Calls(batch=1, tokens=4, count=3)).nanoseconds) == 3


def test_the_current_folder_is_not_imported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, here = tiny_onnx(tmp_path / "model.onnx"), tmp_path / "here"
    here.mkdir()
    for module in ("numpy", "json", "prunecli", "onnxruntime"):
        (here / f"{module}.py").write_text("raise SystemExit('not to be run')\n")
    monkeypatch.chdir(here)
    with started("tiny", model(path)) as worker:
        assert len(worker.times(Calls(batch=1, tokens=4, count=2)).nanoseconds) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a terminal")
def test_an_interrupt_leaves_no_process(tmp_path: Path) -> None:
    """Ctrl-C reaches the process and its workers at once, as from a terminal."""
    path = tiny_onnx(tmp_path / "model.onnx")
    program = f"""
import signal, sys
from pathlib import Path
from prunecli.bench.measure import measure
from prunecli.bench.protocol import Model
from prunecli.models.madeup import MadeUp
from prunecli.records.benches import InputShape
from prunecli.progress import Silent

signal.signal(signal.SIGINT, signal.default_int_handler)
one = Model(runtime="onnxruntime", path={str(path)!r}, threads=1, cores=(),
            made_up=MadeUp(vocabulary=50))
print("ready", flush=True)
try:
    measure([("one", one), ("two", one)], [InputShape(batch=1, tokens=8)], rounds=10**6, starts=1,
            progress=Silent())
except KeyboardInterrupt:
    sys.exit(130)
"""
    running = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    time.sleep(5)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)


@pytest.mark.parametrize("when", ["start", "answer"])
def test_one_that_does_not_answer_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(measuring, "_WARM_MS", 1.0)
    monkeypatch.setattr(measuring, "_BLOCK_MS", 1.0)
    path, shape, before = (
        tiny_onnx(tmp_path / "model.onnx"),
        InputShape(batch=1, tokens=8),
        children(),
    )
    other = tmp_path / "absent.onnx" if when == "start" else path
    if when == "answer":
        real = measuring.Worker.times

        def times(worker: measuring.Worker, asked: Calls) -> object:
            if worker.title == "bad" and asked.milliseconds == 0:  # after it has warmed up
                worker._process.kill()
                worker._process.wait()
            return real(worker, asked)

        monkeypatch.setattr(measuring.Worker, "times", times)
    pairs = [("good", model(path)), ("bad", model(other)), ("fine", model(path))]
    good, bad, fine = measure(pairs, [shape], rounds=3, starts=1, progress=Silent())
    assert isinstance(bad, InputError)
    assert "bad" in str(bad)
    for one in (good, fine):
        assert isinstance(one, measuring.Measured)
        assert len(one.rounds[shape]) == 3
        assert len(one.start_seconds) == 1
    assert children() <= before

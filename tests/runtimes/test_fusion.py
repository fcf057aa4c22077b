"""ONNX Runtime with its fused LayerNorm and without: equal answers, and the faster one chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prunecli.errors import InputError
from prunecli.machine.hardware import processor
from prunecli.models.madeup import MadeUp
from prunecli.onnxfile import write
from prunecli.onnxfile.session import read_session
from prunecli.records.artefacts import SKIP_LAYER_NORM
from prunecli.runtimes import RUNTIMES, fusion
from prunecli.runtimes.fusion import choose_session
from prunecli.runtimes.onnx import open_session
from runtimes.making import POSITIONS, batch, classifier

pytest.importorskip("onnxruntime", reason="the extra prunecli[onnx] is not installed")

MADE_UP = MadeUp(vocabulary=40)


@pytest.fixture(scope="module", params=["distilbert", "bert"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    write.write_onnx(classifier(request.param), path)
    return path


@pytest.fixture
def file(written: Path, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(written.read_bytes())
    return path


def ways(path: Path) -> list[Callable[..., np.ndarray]]:
    sessions = [open_session(path, threads=1, disabled=way) for way in ((), (SKIP_LAYER_NORM,))]
    names = {entry.name for entry in sessions[0].get_inputs()}

    def asking(session: object) -> Callable[..., np.ndarray]:
        return lambda inputs: session.run(  # type: ignore[attr-defined]
            None, {name: array for name, array in inputs.items() if name in names}
        )[0]

    return [asking(session) for session in sessions]


@pytest.mark.parametrize("shape", [(1, 1), (1, 16), (5, 7), (12, 16)])
def test_the_answers_are_the_same(file: Path, shape: tuple[int, int]) -> None:
    inputs = batch(*shape, types=True)
    fused, apart = (ask(inputs) for ask in ways(file))
    assert np.abs(fused - apart).max() <= 1e-5 * max(1.0, float(np.abs(fused).max()))


@pytest.mark.parametrize(
    ("times", "disabled"),
    [(1.5, (SKIP_LAYER_NORM,)), (1.01, ()), (0.7, ())],
)
def test_the_faster_way_is_written_into_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, times: float, disabled: tuple[str, ...]
) -> None:
    monkeypatch.setattr(fusion, "_times_as_fast", lambda *_: times)
    before = RUNTIMES.get("onnxruntime").open(file, threads=1)(batch(5, 7, types=True))
    session, measured = choose_session(file, POSITIONS, MADE_UP)
    assert measured == pytest.approx(times)
    assert session.disabled_optimizers == disabled
    assert session.runtime == RUNTIMES.get("onnxruntime").version()
    assert session.processor == processor()
    assert read_session(file) == session
    after = RUNTIMES.get("onnxruntime").open(file, threads=1)(batch(5, 7, types=True))
    assert np.allclose(before, after, rtol=1e-5, atol=1e-5)


def test_a_file_is_opened_as_it_says(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimised graphs have the fused operator or not."""
    import onnx
    import onnxruntime

    kept = file.with_name("optimised.onnx")
    options = onnxruntime.SessionOptions

    def writing() -> object:
        made = options()
        made.optimized_model_filepath = str(kept)
        return made

    monkeypatch.setattr(onnxruntime, "SessionOptions", writing)

    def operators() -> set[str]:
        RUNTIMES.get("onnxruntime").open(file, threads=1)
        return {node.op_type for node in onnx.load(kept).graph.node}

    assert "SkipLayerNormalization" in operators()
    for times, there in ((2.0, False), (0.5, True)):
        monkeypatch.setattr(fusion, "_times_as_fast", lambda *_, times=times: times)
        choose_session(file, POSITIONS, MADE_UP)
        assert ("SkipLayerNormalization" in operators()) == there


def test_what_is_measured_is_the_time_of_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that each call moves on, some turns disturbed: the ratio is that of the calls."""
    now, calls = [0.0], [0]

    def taking(seconds: float) -> Callable[[], None]:
        def call() -> None:
            calls[0] += 1
            now[0] += seconds * (50 if calls[0] % 11 == 0 else 1)

        return call

    for clock in ("thread_time", "perf_counter"):
        monkeypatch.setattr(fusion.time, clock, lambda: now[0])
    assert fusion._times_as_fast(taking(0.003), taking(0.002)) == pytest.approx(1.5)
    assert fusion._times_as_fast(taking(0.2), taking(0.4)) == pytest.approx(0.5)


def test_a_real_measurement(file: Path) -> None:
    session, times = choose_session(file, POSITIONS, MADE_UP)
    assert 0 < times < float("inf")
    assert bool(session.disabled_optimizers) == (times > fusion._MARGIN)


def test_a_file_that_does_not_answer_is_told(file: Path) -> None:
    with pytest.raises(InputError, match="cannot answer 1 text of 16 tokens") as caught:
        choose_session(file, POSITIONS, MadeUp(vocabulary=4000))
    assert caught.value.hint == "use --format packed or hf"

"""``prune bench``: what it measures, what it says of it, and when it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from bench.inthread import few_calls, quickly_measured
from calling import Called, refused
from reporting.fabricate import bench, contender

from prunecli.bench.measure import Measured
from prunecli.bench.protocol import Model
from prunecli.errors import InputError, IntegrityError
from prunecli.pipelines import bench as pipeline
from prunecli.pipelines.exports.onnx import TOLERANCE
from prunecli.records.benches import BenchRecord, InputShape
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
ROUNDS = 8


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Milliseconds of a call by title, in place of measuring, 0 for what does not answer."""
    times: dict[str, float] = {}

    def measure(
        models: Sequence[tuple[str, Model]], shapes: Sequence[InputShape], **_: Any
    ) -> list[Measured | InputError]:
        found: list[Measured | InputError] = []
        for title, model in models:
            assert Path(model.path).exists()
            known = next(ms for part, ms in times.items() if part in title)
            if not known:  # it does not answer
                found.append(InputError(f"{title}: no answer"))
                continue
            # every second round the machine is busy, for all alike
            rounds = [[known * (1 + number % 2)] * 3 for number in range(ROUNDS)]
            found.append(
                Measured(
                    "1.0",
                    [1.0, 3.0, 2.0],
                    dict.fromkeys(shapes, rounds),
                    {},
                    1 << 20,
                    (0.5, -0.5 + (OTHERWISE if model.runtime == "openvino" else 0.0)),
                )
            )
        return found

    monkeypatch.setattr(pipeline, "measure", measure)
    monkeypatch.setattr("prunecli.machine.extras.find_spec", lambda _: None)  # PyTorch alone
    monkeypatch.setattr("prunecli.machine.extras.which", lambda _: None)
    return times


OTHERWISE = 0.0
"""By how much a logit of OpenVINO is off, in the measurements of `scripted`."""


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch, scripted: dict[str, float]) -> dict[str, float]:
    """As `scripted`, on a machine that has every runtime of the dense model."""
    monkeypatch.setattr("prunecli.machine.extras.find_spec", lambda _: True)
    monkeypatch.setattr("prunecli.machine.extras.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("prunecli.onnxfile.write.write_onnx", lambda _, path, *__: path.touch())
    return scripted


def record_of(workspace: Workspace) -> BenchRecord:
    (record,) = workspace.benches()
    return record


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_real_measurement(
    prune: Prune,
    apart: bool,
    workspace: Workspace,
    pruned: str,
    baseline: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The dense model in what is here, and a pruned one that cannot be faster, in real processes.

    In the short form in this one: ``tests/bench/test_measure.py`` has quick ones.
    """
    (few_calls if apart else quickly_measured)(monkeypatch)
    monkeypatch.setattr("prunecli.machine.extras.which", lambda _: None)  # compiling takes minutes
    done = prune(
        *("bench", pruned, "--batch-size", 1, "--length", 8, "--rounds", 6, "--starts", 1),
        *("--json", "-w", workspace.root),
    )
    assert done.code == 0, done.err
    found = done.json
    by_runtime = {one["runtime"]: one for one in found["contenders"] if one["dense"]}
    assert "torch" in by_runtime
    assert all(one["subject"] == baseline for one in by_runtime.values())
    (rival,) = [one for one in found["contenders"] if not one["dense"]]
    assert rival["subject"] == rival["run"] == pruned
    assert rival["score"] == workspace.get(pruned).metrics["validation"]["accuracy"]
    (cell,) = rival["cells"]
    assert cell["ratio"]["low"] <= cell["ratio"]["value"] <= cell["ratio"]["high"]
    assert cell["reference"] in by_runtime
    assert cell["verdict"] in ("faster", "slower", "not distinguishable")
    assert cell["per_second"] == 1000 / cell["p50"]["value"]
    assert cell["calls"] >= 6
    assert rival["memory_bytes"] > 10 << 20
    assert rival["file_bytes"] > 0
    assert record_of(workspace).name == found["name"]
    figures = [path for path in found["files"] if path.endswith(".png")]
    assert figures
    assert all(Path(path).is_file() for path in found["files"])


def test_ratios_are_by_round_against_the_faster_dense_runtime(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    scripted: dict[str, float],
) -> None:
    scripted |= {"baseline": 8.0, "magnitude": 2.0}
    done = prune("bench", pruned, "--batch-size", "1,32", "--length", 16, "-w", workspace.root)
    assert done.code == 0, done.err
    cells = next(one for one in record_of(workspace).contenders if not one.dense).cells
    assert [str(cell.shape) for cell in cells] == ["1 × 16", "32 × 16"]
    for cell in cells:
        assert cell.ratio is not None
        assert (cell.ratio.low, cell.ratio.value, cell.ratio.high) == (4.0, 4.0, 4.0)
        assert cell.verdict == "faster"
        assert cell.p50.value == 3.0  # between quiet and busy rounds
        assert cell.throughput == pytest.approx(1000 * cell.shape.batch / 3.0)
    assert "4.00 (4.00 to 4.00)" in done.out
    assert "First answer" in done.out


DENSE = {
    "(torch)": 12.0,
    "(torch-compiled)": 9.0,
    "(onnxruntime)": 8.0,
    "(onnxruntime-unfused)": 6.0,
    "(openvino)": 4.0,
}


def test_the_strongest_dense_model_is_held_against(
    prune: Prune, workspace: Workspace, pruned: str, baseline: str, everything: dict[str, float]
) -> None:
    everything |= {pruned: 2.0, **DENSE}
    done = prune("bench", pruned, "--length", 16, "-w", workspace.root)
    assert done.code == 0, done.err
    record = record_of(workspace)
    dense = {f"({one.runtime})" for one in record.contenders if one.dense}
    assert dense == DENSE.keys()
    (cell,) = {cell for one in record.contenders if not one.dense for cell in one.cells[:1]}
    assert cell.ratio is not None
    assert (cell.ratio.value, cell.reference) == (2.0, "openvino")
    again = prune("bench", pruned, "--length", 16, "--no-compile", "-w", workspace.root)
    assert again.code == 0, again.err
    runtimes = {one.runtime for one in record_of(workspace).contenders}
    assert "torch-compiled" not in runtimes
    assert "onnxruntime-unfused" in runtimes


@pytest.mark.parametrize("otherwise", [5e-4, 0.01, float("nan")])
def test_one_that_answers_otherwise_is_not_held_against(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    everything: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    otherwise: float,
) -> None:
    monkeypatch.setitem(globals(), "OTHERWISE", otherwise)
    everything |= {pruned: 2.0, **DENSE}
    done = prune("bench", pruned, "--length", 16, "-w", workspace.root)
    assert done.code == 0, done.err
    (rival,) = [one for one in record_of(workspace).contenders if not one.dense]
    kept = otherwise < TOLERANCE
    assert rival.cells[0].reference == ("openvino" if kept else "onnxruntime-unfused")
    assert ("is measured without openvino: " in done.err) != kept
    assert ("from PyTorch's, more than 0.001" in done.err) != kept


def test_what_the_dense_model_is_measured_without_is_told(
    prune: Prune, workspace: Workspace, pruned: str, scripted: dict[str, float]
) -> None:
    scripted |= {"baseline": 8.0, "magnitude": 2.0}
    done = prune("bench", pruned, "--length", 16, "-w", workspace.root)
    assert "without torch.compile: it needs a C++ compiler" in done.err
    for name, extra in (("ONNX Runtime", "onnx"), ("OpenVINO", "openvino")):
        assert f"{name} is not installed" in done.err
        assert f"pip install 'prunecli[{extra}]'" in done.err


def test_peers_are_the_dense_model_in_other_arithmetic(
    prune: Prune, workspace: Workspace, pruned: str, baseline: str, scripted: dict[str, float]
) -> None:
    scripted |= {"-torch-int8-": 4.0, "baseline": 8.0, "magnitude": 2.0}
    words = ("bench", pruned, "--length", 16, "--peers", "-w", workspace.root)
    none = prune(*words)
    assert none.code == 0
    assert f"--peers: {baseline} was exported in no other arithmetic" in none.err
    made = [
        prune("export", name, *more, "--max-difference", 100, "--json", "-w", workspace.root).json
        for name, more in (
            (baseline, ()),  # in float32: no other arithmetic
            (baseline, ("--format", "torch-int8")),
            (pruned, ("--format", "torch-int8")),  # not dense
        )
    ]
    done = prune(*words, "--min-speedup", 4)  # which the peer, 2 times as fast, does not have
    assert done.code == 0, done.err
    *_, record = sorted(workspace.benches(), key=lambda one: one.created)
    (peer,) = [one for one in record.contenders if one.peer]
    assert peer.subject == made[1]["name"]
    assert peer.score == made[1]["metrics"]["validation"]["accuracy"]
    assert peer.cells[0].ratio is not None
    assert peer.cells[0].ratio.value == 2.0
    assert f"{peer.subject} (dense)" in done.out
    # with nothing but peers there is nothing to gate
    alone = prune(*("bench", baseline, *words[2:]), "--min-speedup", 1)
    refused(alone, 2, f"nothing to hold against {baseline}")
    # one that was named is no peer
    named = prune("bench", made[1]["name"], *words[2:], "--min-speedup", 4)
    assert named.code == 1


@pytest.mark.parametrize(
    ("milliseconds", "verdict"), [(16.0, "slower"), (8.0, "not distinguishable")]
)
def test_what_is_no_speed_up_is_not_called_one(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    scripted: dict[str, float],
    milliseconds: float,
    verdict: str,
) -> None:
    scripted |= {"baseline": 8.0, "magnitude": milliseconds}
    done = prune("bench", pruned, "--length", 16, "-w", workspace.root)
    assert done.code == 0, done.err
    rows = [line for line in done.out.splitlines() if "1 × 16" in line and pruned in line]
    assert rows
    assert all(line.rstrip().endswith(verdict) for line in rows)


def test_the_gate(
    prune: Prune, workspace: Workspace, pruned: str, scripted: dict[str, float]
) -> None:
    scripted |= {"baseline": 8.0, "magnitude": 2.0}
    words = ("bench", pruned, "--length", 16, "-w", workspace.root, "--min-speedup")
    assert prune(*words, 4).code == 0
    done = prune(*words, 4.01)
    assert done.code == 1
    assert f"{pruned} is not shown to be 4.01 times as fast at 1 × 16" in done.err


def test_the_dense_model_alone(
    prune: Prune, workspace: Workspace, baseline: str, scripted: dict[str, float]
) -> None:
    scripted["baseline"] = 8.0
    done = prune("bench", baseline, "--length", 16, "-w", workspace.root)
    assert done.code == 0, done.err
    record = record_of(workspace)
    assert record.spec.subjects == ()
    assert [one.dense for one in record.contenders] == [True]


def test_an_artefact_and_a_folder(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    baseline: str,
    saved: Path,
    scripted: dict[str, float],
) -> None:
    made = prune("export", pruned, "--json", "-w", workspace.root).json
    scripted |= {"-packed-": 8.0, str(saved): 4.0, "baseline": 8.0}
    done = prune(
        *("bench", made["name"], saved, "--against", baseline, "--length", 16),
        *("-w", workspace.root),
    )
    assert done.code == 0, done.err
    packed, folder = [one for one in record_of(workspace).contenders if not one.dense]
    assert packed.file_bytes == made["ledger"]["artefact"]
    assert (packed.run, packed.drop) == (pruned, made["drop"])
    assert (folder.run, folder.score, folder.subject) == (None, None, str(saved))


def test_the_same_measurement_again_takes_the_place_of_the_old(
    prune: Prune, workspace: Workspace, pruned: str, scripted: dict[str, float]
) -> None:
    scripted |= {"baseline": 8.0, "magnitude": 2.0}
    words = ("bench", pruned, "--length", 16, "-w", workspace.root)
    assert prune(*words).code == 0
    first = record_of(workspace)
    assert prune(*words).code == 0
    assert record_of(workspace).name == first.name
    assert record_of(workspace).created > first.created
    assert prune(*words, "--rounds", 7).code == 0
    assert len(list(workspace.benches())) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nothing",), 3, ("no run 'nothing'",)),
        (("--length", "16", "RUN"), 2, ("Missing argument",)),
        (("RUN", "--length", "0"), 2, ("'0' is no number",)),
        (("RUN", "--length", "16", "x"), 2, ("'x' is no number", "before the options")),
        (("RUN", "--length", "5000"), 2, ("the model reads at most",)),
        (("RUN", "--batch-size", "1e3"), 2, ("'1e3' is no number",)),
        (("RUN", "--rounds", "5"), 2, ("--rounds 5 gives no interval", "6 or more")),
        (("RUN", "--threads", "1000"), 2, ("--threads 1000 on",)),
        (("RUN", "--threads", "0"), 2, ("--threads",)),
        (("RUN", "--against", "nothing"), 3, ("no run 'nothing'",)),
    ],
)
def test_bad_input(
    prune: Prune,
    swept: Workspace,
    pruned: str,
    words: tuple[str, ...],
    code: int,
    said: tuple[str, ...],
) -> None:
    named = [pruned if word == "RUN" else word for word in words]
    refused(prune("bench", *named, "-w", swept.root), code, *said)


@pytest.mark.parametrize("against", [(), ("--against", "BASELINE")])
def test_a_gate_with_nothing_to_compare(
    prune: Prune, swept: Workspace, baseline: str, against: tuple[str, ...]
) -> None:
    named = [baseline if word == "BASELINE" else word for word in against]
    done = prune("bench", baseline, *named, "--min-speedup", 3, "-w", swept.root)
    refused(done, 2, f"nothing to hold against {baseline}")


def test_only_a_dense_model_is_held_against(
    prune: Prune, workspace: Workspace, pruned: str, baseline: str
) -> None:
    packed = prune("export", baseline, "--json", "-w", workspace.root).json["name"]
    for name in (pruned, packed):
        done = prune("bench", pruned, "--against", name, "-w", workspace.root)
        refused(done, 2, f"{name} is not dense", "a baseline or a model folder")


def test_a_model_that_is_no_onnx_is_measured_in_pytorch(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    scripted: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise InputError("too large for a file")

    monkeypatch.setattr("prunecli.machine.extras.find_spec", lambda _: True)
    monkeypatch.setattr("prunecli.onnxfile.write.write_onnx", fails)
    scripted |= {"baseline": 8.0, "magnitude": 2.0}
    done = prune("bench", pruned, "--length", 16, "-w", workspace.root)
    assert done.code == 0, done.err
    assert "in PyTorch alone: too large for a file" in done.err
    assert [one.runtime for one in record_of(workspace).contenders] == ["torch", "torch"]


def test_nothing_of_an_interrupted_measurement_is_kept(
    prune: Prune, workspace: Workspace, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "measure", stopped)
    monkeypatch.setattr("prunecli.machine.extras.find_spec", lambda _: None)
    monkeypatch.setattr("prunecli.machine.extras.which", lambda _: None)
    done = prune("bench", pruned, "-w", workspace.root)
    refused(done, 130, "interrupted", "kept when it is whole")
    assert list(workspace.benches()) == []


def test_a_folder_has_no_dense_model_of_its_own(
    prune: Prune, swept: Workspace, saved: Path
) -> None:
    refused(prune("bench", saved, "-w", swept.root), 2, "which dense model", "--against")


def test_a_baseline_that_is_gone(
    prune: Prune, workspace: Workspace, pruned: str, baseline: str
) -> None:
    workspace.remove(baseline)
    refused(prune("bench", pruned, "-w", workspace.root), 3, baseline, "--against")


def test_weights_that_were_changed(prune: Prune, workspace: Workspace, pruned: str) -> None:
    path = workspace.run_dir(pruned) / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    refused(prune("bench", pruned, "-w", workspace.root), 4, "does not match its record")


def test_a_corrupt_measurement_is_found(workspace: Workspace) -> None:
    workspace.benches_dir.mkdir()
    (workspace.benches_dir / "bench-1.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(IntegrityError, match="bench-1"):
        list(workspace.benches())


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("cells", 0, "ratio", "value"), -1),
        (("cells", 0, "ratio", "low"), 0),
        (("cells", 0, "ratio", "low"), 1e6),
        (("cells", 0, "ratio", "high"), 1e-6),
        (("cells", 0, "ratio", "high"), float("inf")),
        (("cells", 0, "ratio", "value"), float("nan")),
        (("cells", 0, "p50", "value"), 5e-324),
        (("cells", 0, "p95"), -1),
        (("cells", 0, "calls"), 0),
        (("file_bytes",), -1),
        (("file_bytes",), 10**400),
        (("memory_bytes",), -1),
        (("start_seconds",), -0.5),
        (("score",), float("nan")),
    ],
)
def test_a_measurement_that_cannot_be_is_corrupt(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    baseline: str,
    where: tuple[str | int, ...],
    value: float,
) -> None:
    workspace.benches_dir.mkdir()
    shown = bench(contender(baseline, dense=True), contender(pruned, (2.0, 1.9, 2.1)))
    workspace.write_bench(shown)
    assert list(workspace.benches()) == [shown]
    (path,) = workspace.benches_dir.glob("*.json")
    record = json.loads(path.read_text())
    *outer, last = where
    part = next(one for one in record["contenders"] if not one["dense"])
    for key in outer:
        part = part[key]
    part[last] = value
    path.write_text(json.dumps(record))
    done = prune("report", "-w", workspace.root)
    assert done.code == 0
    assert all(said in done.err for said in (path.name, "is corrupt", "to clear it: rm "))
    assert f"could not be read and is not in here: {path.stem}" in " ".join(done.out.split())


def test_one_that_does_not_answer_stops_no_other(
    prune: Prune,
    workspace: Workspace,
    scripted: dict[str, float],
    pruned: str,
    baseline: str,
) -> None:
    other = next(name for name in workspace.names() if name not in (pruned, baseline))
    scripted |= {baseline: 4.0, pruned: 0.0, other: 2.0}
    done = prune("bench", pruned, other, "--json", "-w", workspace.root)
    assert done.code == 1
    assert done.err.count(f"failed  {pruned} (torch): no answer") == 1
    assert [one["subject"] for one in done.json["contenders"]] == [baseline, other]
    assert done.json["failed"] == {f"{pruned} (torch)": f"{pruned} (torch): no answer"}
    assert record_of(workspace).failed == done.json["failed"]
    refused(prune("bench", pruned, "-w", workspace.root), 3, "no answer")
    scripted[baseline] = 0.0
    refused(prune("bench", other, "-w", workspace.root), 3, f"{baseline} (torch): no answer")


def test_all_is_instead_of_names(prune: Prune, workspace: Workspace, pruned: str) -> None:
    refused(prune("bench", pruned, "--all", "-w", workspace.root), 2, "--all names everything")

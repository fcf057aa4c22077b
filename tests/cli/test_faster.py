"""``--faster`` and ``--max-ms``: cut until the model is as fast as asked, by a clock made up here.

Everything is as it is but for the milliseconds, which follow a law that the table of latencies can
only come near: parts are dearer together than alone, and there is noise. Real clocks are in
``test_real_data.py`` and `prune bench`.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from calling import Called, call, refused

import prunecli
from prunecli.core.cutting import UnitCounts, unit_counts
from prunecli.errors import InputError
from prunecli.pipelines import pace, timing
from prunecli.pipelines.contenders import Subject
from prunecli.records.runs import CutSpec, RunRecord
from prunecli.store.folders import MODEL
from prunecli.store.workspace import Workspace

FEW = ("--calibration-samples", "64", "--allocations", "2")
AS = ("--deployed-as", "torch")


def law(counts: UnitCounts) -> float:
    """Milliseconds of a model: every head and neuron costs, and the whole more than its parts."""
    parts = sum(0.2 + 0.3 * heads for heads in counts["heads"] if heads)
    parts += sum(0.1 + 0.02 * neurons**0.9 for neurons in counts["neurons"] if neurons)
    return 0.5 + parts * (1 + 0.05 * parts)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts `law` in place of measuring; the titles of what was timed are in the list."""
    noise, timed = random.Random(7), list[str]()

    def rounds(_: object, runners: Sequence[Subject], count: int) -> list[Any]:
        found: list[Any] = []
        for one in runners:
            timed.append(one.title)
            counts = unit_counts(prunecli.load(one.path))
            times = [law(counts) * noise.uniform(0.99, 1.01) for _ in range(count)]
            gone = 0 in counts["heads"] and len(set(counts["heads"])) == 1
            found.append(InputError("no heads") if gone and "heads" in one.title else times)
        return found

    @contextmanager
    def references(_: object, dense: Any, *, compiled: bool) -> Iterator[list[Any]]:
        yield [dense]

    monkeypatch.setattr(timing.Timer, "rounds", rounds)
    monkeypatch.setattr(pace, "references_of", references)
    return timed


def faster(workspace: Workspace, baseline: str, *more: object) -> Called:
    return call("prune", "--from", baseline, *FEW, *AS, *more, "-w", workspace.root)


def cut_runs(workspace: Workspace) -> list[RunRecord]:
    return [run for run in workspace.runs() if isinstance(run.spec, CutSpec)]


def law_of(workspace: Workspace, run: str) -> float:
    return law(unit_counts(prunecli.load(workspace.run_dir(run) / MODEL)))


def test_each_speed_is_met_and_found_again(
    workspace: Workspace, baseline: str, clock: list[str]
) -> None:
    done = faster(workspace, baseline, "--faster", "1.3", "2", "--max-ms", "2.5")
    assert done.code == 0, done.err
    dense = law_of(workspace, baseline)
    runs = cut_runs(workspace)
    assert len(runs) == 3
    for run in runs:
        assert isinstance(run.spec, CutSpec)
        speed, found = run.spec.cut.speed, run.speed
        assert speed is not None
        assert found is not None
        counts = unit_counts(prunecli.load(workspace.run_dir(run.name) / MODEL))
        assert counts == {"heads": found.heads, "neurons": found.neurons}
        own = law(counts)
        if speed.faster is None:
            assert 2.5 * 0.95 <= own <= 2.5 * 1.01
        else:
            assert speed.faster * 0.99 <= dense / own <= speed.faster * 1.05
        assert found.ratio == pytest.approx(dense / own, rel=0.02)
        assert found.low <= found.ratio <= found.high
        assert run.shares_cut == pytest.approx((found.heads_cut, found.neurons_cut))
        assert run.model.dense_parameters is not None
    # what one search took for all is told of each in equal parts
    assert len({run.seconds["calibrate"] for run in runs}) == 1
    times = len(clock)
    again = faster(workspace, baseline, "--faster", "2", "1.3", "--max-ms", "2.5")
    assert "0 made, 4 found" in again.err
    assert len(clock) == times
    # another target is chosen by the table that is there: no half of heads is timed again
    more = faster(workspace, baseline, "--faster", "1.6")
    assert more.code == 0, more.err
    assert not any("heads and" in title for title in clock[times:])


def test_what_is_out_of_reach_or_there_already_is_told(
    workspace: Workspace, baseline: str, clock: list[str]
) -> None:
    done = faster(workspace, baseline, "--faster", "500", "1.2")
    assert done.code == 1
    assert "500× as fast, torch at 1 × " in done.err
    assert "is out of reach" in done.err
    assert len(cut_runs(workspace)) == 1  # the other is made
    slow = faster(workspace, baseline, "--max-ms", "900")
    assert slow.code == 3
    assert "nothing need be cut for 900 ms" in slow.err


def test_what_cannot_be_measured_is_tried_once(
    swept: Workspace, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[object]()

    def paces(*given: object) -> None:
        tried.append(given)
        raise InputError("nothing answers here")

    monkeypatch.setattr("prunecli.pipelines.makers.cut.paces", paces)
    done = faster(swept, baseline, "--faster", "2", "3")
    assert done.code == 3
    assert "nothing answers here" in done.err
    assert len(tried) == 1


def test_a_size_that_fails_by_chance_leaves_no_table(
    workspace: Workspace, baseline: str, clock: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = timing.Timer.rounds

    def rounds(self: timing.Timer, runners: Sequence[Subject], count: int) -> list[Any]:
        return [*whole(self, runners, count)[:-1], InputError("its process ended")]

    monkeypatch.setattr(timing.Timer, "rounds", rounds)
    done = faster(workspace, baseline, "--faster", "1.5")
    assert done.code == 3
    assert "its process ended" in done.err
    assert not [*workspace.latencies_dir.glob("*")]


def test_reports_and_lists_say_what_was_asked_and_what_went(
    workspace: Workspace, baseline: str, clock: list[str], tmp_path: Path
) -> None:
    assert faster(workspace, baseline, "--faster", "1.5").code == 0
    (run,) = cut_runs(workspace)
    listed = call("runs", "list", "-w", workspace.root)
    assert "1.5× as fast, torch at 1 ×" in " ".join(listed.out.split())
    assert call("report", "-w", workspace.root, "--format", "md", "csv").code == 0
    text = next(workspace.reports_dir.rglob("*.md")).read_text(encoding="utf-8")
    assert "latency" not in text.replace("-latency-", "")  # which is in the names of runs
    heads, neurons = run.shares_cut or (0, 0)
    assert f"{heads * 100:.4g}%" in text
    assert f"{neurons * 100:.4g}%" in text
    assert run.speed is not None
    assert f"{run.speed.ratio:.2f} ({run.speed.low:.2f} to {run.speed.high:.2f}) times" in text
    card = (workspace.run_dir(run.name) / MODEL / "README.md").read_text(encoding="utf-8")
    assert "1.5× as fast" in card
    assert run.speed is not None
    assert f"{run.speed.ratio:.2f} ({run.speed.low:.2f} to {run.speed.high:.2f})" in card
    assert ", ".join(map(str, run.speed.neurons)) in card


def test_a_damaged_table_is_not_used(workspace: Workspace, baseline: str, clock: list[str]) -> None:
    assert faster(workspace, baseline, "--faster", "1.5").code == 0
    (path,) = workspace.latencies_dir.glob("*.json")
    found = json.loads(path.read_text())
    found["heads"][0][1] = 1e6
    path.write_text(json.dumps(found))
    for run in cut_runs(workspace):
        shutil.rmtree(workspace.run_dir(run.name))
    done = faster(workspace, baseline, "--faster", "1.5")
    assert done.code != 0
    assert path.name in done.err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--faster", "2", "--heads", "0.5"), "--heads says how much goes"),
        (("--faster", "2", "--strategy", "layerwise"), "--strategy shares"),
        (("--faster", "2", "--levels", "0.5"), "--levels"),
        (("--faster", "1"), "greater than 1"),
        (("--faster", "2", "2"), "2 is given twice"),
        (("--faster", "2", "--shape", "128"), "is no shape of inputs"),
        (("--faster", "2", "--shape", "1x4000"), "the model reads at most"),
        (("--faster", "2", "--threads", "1000"), "--threads 1000 on"),
        (("--faster", "2", "--deployed-as", "tensorflow"), "unknown deployment 'tensorflow'"),
        (("--level", "0.5", "--shape", "1x16"), "--shape says where a speed is measured"),
        (("--heads", "0.5", "--threads", "1"), "--threads says where a speed is measured"),
    ],
)
def test_what_makes_no_sense_is_refused(
    swept: Workspace, baseline: str, asked: tuple[str, ...], said: str
) -> None:
    done = call("prune", "--from", baseline, *asked, "-w", swept.root)
    if "1x4000" in asked:  # known when the model is
        assert done.code != 0
        assert said in done.err
        return
    refused(done, 2, said)


def test_one_speed_is_exported(workspace: Workspace, baseline: str, clock: list[str]) -> None:
    exported = ("export", baseline, *FEW, "-w", workspace.root, "--format")
    done = call(*exported, "hf", "--faster", "1.5", "--shape", "2x16", "--threads", "1")
    assert done.code == 0, done.err
    (run,) = cut_runs(workspace)
    assert isinstance(run.spec, CutSpec)
    assert run.spec.cut.speed is not None
    assert run.spec.cut.speed.where == "torch at 2 × 16"
    several = call(*exported, "hf", "--faster", "1.5", "--faster", "2")
    refused(several, 2, "2 cuts are asked for")
    packed = call(*exported, "packed", "--faster", "1.5")
    refused(packed, 2, "is no way in which a speed is measured")

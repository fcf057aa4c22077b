"""Grids of cuts: each share of the heads with each of the neurons, under the names of ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from reporting.fabricate import Fabricated

from prunecli.errors import InputError, UsageError
from prunecli.pipelines.contenders import all_of
from prunecli.pipelines.job import Job
from prunecli.pipelines.specs import pruned_specs
from prunecli.pipelines.sweep import grid_size
from prunecli.records.cuts import Cut
from prunecli.records.runs import CutSpec, RunRecord, run_name
from prunecli.settings.loading import load_settings
from prunecli.settings.model import Settings, cuts
from prunecli.store.workspace import Workspace


def cut_specs(baseline: RunRecord, **flags: object) -> list[CutSpec]:
    settings = load_settings({"task": "sst2", **flags})
    specs = pruned_specs(settings, baseline, "global", "reconstruction")
    found = [spec for spec in specs if isinstance(spec, CutSpec)]
    assert len(found) == len(specs) == grid_size(settings) - 1  # and the baseline
    return found


@pytest.fixture(scope="module")
def baseline() -> RunRecord:
    return Fabricated(examples=10).baseline()


def test_shares_are_crossed(baseline: RunRecord) -> None:
    specs = cut_specs(baseline, heads=["0.25", "0.5"], neurons="0.5,0.75")
    crossed = [(0.25, 0.5), (0.25, 0.75), (0.5, 0.5), (0.5, 0.75)]
    assert [(spec.cut.heads, spec.cut.neurons) for spec in specs] == crossed
    assert len({run_name(spec) for spec in specs}) == 4


def test_a_cut_of_nothing_is_the_baseline_and_no_point(baseline: RunRecord) -> None:
    specs = cut_specs(baseline, heads=["0", "0.5"], neurons=["0", "0.5"])
    pairs = [(spec.cut.heads, spec.cut.neurons) for spec in specs]
    assert pairs == [(0.0, 0.5), (0.5, 0.0), (0.5, 0.5)]
    assert not cuts(load_settings({"heads": "0", "neurons": ["0"]}))


def test_a_run_of_a_grid_has_the_name_that_it_has_alone(baseline: RunRecord) -> None:
    (alone,) = cut_specs(baseline, heads=["0.5"], neurons=["0.75"])
    assert alone.cut == Cut(heads=0.5, neurons=0.75)
    assert alone in cut_specs(baseline, heads=["0.25", "0.5"], neurons=["0.75", "0.5"])
    # as it was before there were grids of cuts
    assert run_name(alone) == "sst2-global-reconstruction-h50-n75-s42-77f2f5c5"


def test_one_share_is_written_as_a_number() -> None:
    """Names of sweeps come from this text."""
    shown = Settings(heads=(0.5,)).model_dump(mode="json", include={"heads", "neurons"})
    assert shown == {"heads": 0.5, "neurons": 0.0}
    assert Settings(heads=(0.5, 0.25)).model_dump(mode="json")["heads"] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("heads", "said"),
    [("1", "--heads: .* less than 1"), ("-0.1", "--heads"), ("half", "--heads"), ("", "--heads")],
)
def test_shares_that_are_none(heads: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_settings({"heads": [heads]})
    with pytest.raises(UsageError, match="is given twice"):
        load_settings({"heads": ["0.5", "0.50"]})


# bench --all


class Notes:
    """A listener that keeps the notices."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, text: str) -> None:
        self.told.append(text)


def job_of(made: Fabricated, root: Path) -> tuple[Job, Notes]:
    workspace, notes = Workspace(root).prepare(), Notes()
    for run in made.records:
        workspace.write_record(workspace.run_dir(run.name), run)
    for artefact in made.artefacts:
        workspace.write_record(workspace.artefact_dir(artefact.name), artefact)
    return Job(Settings(), workspace, "prune bench --all", notes), notes  # type: ignore[arg-type]


def test_all_is_what_was_made_of_one_baseline(tmp_path: Path) -> None:
    made = Fabricated(examples=10)
    base = made.baseline()
    sparse = made.pruned(base, 0.5, 80)
    cut = made.pruned(base, 0.0, 80, cut={"heads": 0.5})
    artefacts = [made.artefact(base), made.artefact(cut)]
    job, notes = job_of(made, tmp_path / "one")
    expected = [*sorted(one.name for one in artefacts), cut.name, sparse.name]
    assert all_of(job, None) == all_of(job, "@baseline") == expected
    assert notes.told == []

    other = made.baseline("mnli")
    apart = made.pruned(other, 0.5, 70)
    job, _ = job_of(made, tmp_path / "two")
    assert all_of(job, other.name) == [apart.name]
    with pytest.raises(UsageError, match="of which something was made") as caught:
        all_of(job, None)
    assert base.name in str(caught.value.hint)
    with pytest.raises(InputError, match="nothing was made of"):
        all_of(job, apart.name)
    with pytest.raises(InputError, match="nothing to measure"):
        all_of(Job(Settings(), Workspace(tmp_path / "none"), ""), None)


def test_all_has_a_bound_and_tells_it(tmp_path: Path) -> None:
    made = Fabricated(examples=10)
    base = made.baseline()
    for percent in range(40):
        made.pruned(base, percent / 100, 80)
    last = made.artefact(base)
    job, notes = job_of(made, tmp_path)
    names = all_of(job, None)
    assert len(names) == 12
    assert names[0] == last.name
    assert "first 12 of 41" in notes.told[0]

"""What commit 7e8778b wrote stays readable and keeps its names. It is never written again."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError
from safetensors.torch import load_file

from prunecli.packed.folder import unpack
from prunecli.records.cuts import Cut
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    PrunedSpec,
    RunRecord,
    run_name,
)
from prunecli.store.folders import MASK, MODEL, PACKED, RECORD
from prunecli.store.masks import load_mask
from prunecli.store.workspace import Workspace
from tests.calling import call

WRITTEN = Path(__file__).parent / "data" / "written-by-7e8778b.zip"
MODEL_AND_DATA = "--task sst2 --model model --data rows.csv --max-seq-length 16"
WANTED = f"{MODEL_AND_DATA} --baseline-epochs 1 --device cpu"
COMMANDS = (
    f"train-baseline {MODEL_AND_DATA} --epochs 1 --seed 0 1 --device cpu",
    f"sweep {WANTED} --seed 0 1 --strategy global layerwise --levels 0.5 0.75",
    f"prune {WANTED} --seed 0 --levels 0.6 --criterion reconstruction --calibration-samples 16",
    f"prune {WANTED} --seed 0 --pattern 2:4 --levels 0.5",
    f"prune {WANTED} --seed 0 --levels 0.6 --recipe fast --epochs 1",
    f"sweep {WANTED} --seed 0 --levels 0.4 0.6 --chained --epochs 2 --recipe none "
    "--schedule polynomial --update-every 1",
    f"prune {WANTED} --seed 0 --heads 0.5 --neurons 0.5 --calibration-samples 16",
    f"prune {WANTED} --seed 0 --heads 0.5 --neurons 0.25 --unit-criterion magnitude --no-refit "
    "--epochs 1 --recipe none",
)

KNEES = re.compile(rb'("(?:knee|collapse)": {\s+"level": [^,]+,\s+"interval": \[)[^]]*')
"""Where the JSON has the ends of their intervals, which are by a better rule since."""

CUTS = re.compile(
    rb'("sparsity": 0\.0,\s+"compression": )1\.0(?=,\s+"model_compression": 1\.[1-9])'
)
"""Where it has a compression of 1 for a cut, of which there is none."""


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    with zipfile.ZipFile(WRITTEN) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def there(before: Path, monkeypatch) -> Workspace:
    monkeypatch.chdir(before)
    monkeypatch.setenv("PRUNE_WORKSPACE", "workspace")
    return Workspace(before / "workspace")


def test_every_record_is_read_and_its_specification_gives_the_old_name(there):
    runs = list(there.runs())
    assert len(runs) == 17
    assert [run_name(run.spec) for run in runs] == [run.name for run in runs]
    assert len(list(there.artefacts())) == len(list(there.benches())) == 1
    assert len(list(there.evaluations())) == 1


@pytest.mark.parametrize("kind", [BaselineSpec, PrunedSpec, CutSpec])
def test_a_record_of_each_kind_is_written_back_to_the_byte(there, kind):
    counts = {BaselineSpec: 2, PrunedSpec: 13, CutSpec: 2}
    found = [run for run in there.runs() if type(run.spec) is kind]
    assert len(found) == counts[kind]
    for run in found:
        before = (there.run_dir(run.name) / RECORD).read_text(encoding="utf-8")
        assert run.model_dump_json(indent=2) + "\n" == before
        assert run.spec.model_dump(mode="json") == json.loads(before)["spec"]
        assert kind.model_validate(run.spec.model_dump()) == run.spec


def test_a_cut_run_has_only_what_means_something_for_it(there):
    (run,) = [run for run in there.runs() if "-h50-n25-" in run.name]
    assert isinstance(run.spec, CutSpec)
    assert run.spec.cut == Cut(heads=0.5, neurons=0.25, refit=False)
    assert not {"level", "schedule", "pattern", "chain", "keep"} & set(CutSpec.model_fields)
    assert "cut" not in PrunedSpec.model_fields


@pytest.mark.parametrize("wrong", [{"level": 0.5}, {"pattern": "2:4"}, {"chain": [0.1]}, {"x": 1}])
def test_a_cut_run_that_also_zeroes_is_no_record(there, wrong):
    (run,) = [run for run in there.runs() if "-h50-n25-" in run.name]
    written = run.model_dump(mode="json")
    written["spec"] |= wrong
    with pytest.raises(ValidationError, match=f"spec.cut.{next(iter(wrong))}"):
        RunRecord.model_validate_json(json.dumps(written))


def test_every_mask_is_of_the_weights_beside_it(there):
    masks = sorted(there.root.glob(f"runs/*/{MASK}"))
    assert len(masks) == 13
    for path in masks:
        weights = load_file(path.parent / MODEL / "model.safetensors")
        mask = load_mask(path)
        for name in mask.sizes():
            kept = mask.kept(name, weights[name].device)
            assert not weights[name][~kept].any()
        assert sum(mask.removed().values()) > 0


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_command_finds_what_is_there(there, command):
    known = there.names()
    done = call(*command.split())
    assert done.code == 0, done.err
    said = {line.split()[0] for line in done.err.splitlines()}
    assert "found" in said
    assert not said & {"made", "failed"}
    assert there.names() == known


def test_the_same_sweeps_have_the_same_records(there):
    records = sorted(path.name for path in (there.root / "sweeps").iterdir())
    assert len(records) == 2
    for command in COMMANDS:
        if command.startswith("sweep"):
            assert call(*command.split()).code == 0
    assert sorted(path.name for path in (there.root / "sweeps").iterdir()) == records


def test_the_packed_file_gives_the_weights_it_was_made_of(there, tmp_path):
    (artefact,) = there.artefacts()
    unpack(there.verified_artefact(artefact) / PACKED, tmp_path)
    source = load_file(there.run_dir(artefact.spec.source) / MODEL / "model.safetensors")
    back = load_file(tmp_path / "model.safetensors")
    assert source.keys() == back.keys()
    for name, weight in source.items():
        zeros = weight == 0
        assert not back[name][zeros].any()
        assert (back[name] - weight).abs().max() <= weight.abs().max() / 100


def without_80(name: str, text: bytes) -> bytes:
    """The summary without its last column but one, of a level that was not measured there."""
    summary, mark, rest = text.partition(b"Optimal point: the")
    if name == "report.md":
        summary = re.sub(rb"(?m)\|[^|\n]*\|([^|\n]*\|)$", rb"|\1", summary)
    elif name == "report.tex":
        summary = re.sub(rb"(?m)& [^&\n]* (& [^&\n]*)$", rb"\1", summary)
    else:
        return text
    return summary + mark + rest


def test_its_report_is_the_same_to_the_byte(there):
    with zipfile.ZipFile(WRITTEN) as archive:
        old = {
            Path(name).name: archive.read(name)
            for name in archive.namelist()
            if name.startswith("workspace/reports/")
        }
    assert len(old) == 6
    done = call("report", "--format", "md", "json", "csv", "latex")
    assert done.code == 0, done.err
    found = {name: (there.root / "reports" / name).read_bytes() for name in old}
    assert len(KNEES.findall(found["report.json"])) == 6
    # The size of letters, and the widths of columns, of the summary.
    widths = re.compile(rb"{\\\w+(\\addtocounter{table}{-1}\s+\\begin{longtable}){.*")
    old, found = (
        {name: widths.sub(rb"\1", text, count=1) for name, text in each.items()}
        for each in (old, found)
    )
    assert {name: KNEES.sub(rb"\1", text) for name, text in found.items()} == {
        name: CUTS.sub(rb"\1null", KNEES.sub(rb"\1", without_80(name, text)))
        for name, text in old.items()
    }

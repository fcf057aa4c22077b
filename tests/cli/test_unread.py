"""A record that cannot be read stops what asks for it, and nothing else; nothing passes for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from calling import Called, passed_over, refused

from prunecli.errors import IntegrityError
from prunecli.reporting.frame import runs_frame
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]


def cut(path: Path) -> None:
    path.write_text(path.read_text()[:100])


@pytest.fixture
def cut_run(workspace: Workspace, pruned: str) -> str:
    cut(workspace.run_dir(pruned) / "record.json")
    return pruned


@pytest.mark.parametrize("form", ["md", "html", "latex", "summary", "json", "junit"])
def test_a_report_says_what_is_not_in_it(
    prune: Prune, workspace: Workspace, cut_run: str, form: str
) -> None:
    done = prune("report", "--format", form, "-w", workspace.root)
    passed_over(done, cut_run, f"prune runs remove {cut_run} --yes -w {workspace.root}")
    if form == "json":
        assert json.loads(done.out)["unread"] == [cut_run]
    elif form == "junit":
        root = ElementTree.fromstring(done.out)
        assert root.get("errors") == "1"
        assert [case.get("classname") for case in root.iter("testcase") if case.find("error")
                is not None] == [cut_run]  # fmt: skip
    else:
        plain = done.out.replace("\\_", "_")
        assert f"1 record could not be read and is not in here: {cut_run}." in plain


def test_several_are_a_line_each(prune: Prune, workspace: Workspace, pruned: str) -> None:
    lost = [name for name in workspace.names() if "-layerwise-" in name]
    for name in lost:
        cut(workspace.run_dir(name) / "record.json")
    done = prune("report", "-w", workspace.root)
    assert done.code == 0
    lines = [line for line in done.err.splitlines() if line.startswith("passed over ")]
    assert [line.split(": ")[0] for line in lines] == [f"passed over {name}" for name in lost]
    assert f"{len(lost)} records could not be read and are not in here: {', '.join(lost)}." in (
        done.out
    )


@pytest.mark.parametrize("file", ["record.json", "predictions.safetensors", "mask.safetensors"])
def test_an_expectation_is_not_met_by_what_is_missing(
    prune: Prune, workspace: Workspace, pruned: str, file: str
) -> None:
    """The comparison is shown and written, and then it is said that nothing was judged."""
    expect = ("compare", "--expect", "layerwise>=global", "--margin", "100", "-w", workspace.root)
    assert prune(*expect).code == 0
    path = workspace.run_dir(pruned) / file
    path.write_bytes(path.read_bytes()[:-2])
    done = prune(*expect, "--json")
    assert done.code == 4
    assert done.json["unread"] == [pruned]
    assert f"--expect is not judged without {pruned}: " in done.err
    assert f"prune runs remove {pruned} --yes -w {workspace.root}" in done.err
    assert pruned in (workspace.reports_dir / "compare-strategy.md").read_text()
    assert prune("compare", "-w", workspace.root).code == 0


def test_records_of_other_tasks_are_told_and_judge_nothing(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    other = workspace.runs_dir / "qqp-global-magnitude-50-s42-0123abcd"
    other.mkdir()
    (other / "record.json").write_text("{")
    expect = ("compare", "--expect", "layerwise>=global", "--margin", "100", "-w", workspace.root)
    done = prune(*expect, "--task", "sst2", "--json")
    passed_over(done, other.name)
    assert "unread" not in done.json
    assert prune(*expect).code == 4  # of all tasks
    refused_of = prune("report", "--task", "qqp", "-w", workspace.root)
    assert refused_of.code == 4
    assert f"record {other}/record.json is corrupt" in refused_of.err.splitlines()[-2]


def test_a_word_does_not_mean_the_next_best(
    prune: Prune, workspace: Workspace, baseline: str, cut_run: str
) -> None:
    """Else a gate would be held against a model that nobody meant."""
    for word in ("@last", "@best", "@best:sst2"):
        refused(
            prune("evaluate", word, "--fail-under", "accuracy=0", "-w", workspace.root),
            4,
            f"{word} may mean {cut_run}: ",
            f"prune runs remove {cut_run}",
        )
    shown = prune("runs", "show", "@baseline", "-w", workspace.root)
    assert shown.json["name"] == baseline  # by its name the other is no baseline
    refused(prune("runs", "show", "@last:qqp", "-w", workspace.root), 3, "there is no run of task")


def test_of_artefacts_and_measurements(prune: Prune, workspace: Workspace, pruned: str) -> None:
    made = prune("export", pruned, "--format", "packed", "-w", workspace.root, "--json")
    cut(workspace.artefact_dir(made.json["name"]) / "record.json")
    workspace.benches_dir.mkdir()
    bench = workspace.bench_path("bench-0123abcd")
    bench.write_text("{")
    done = prune("report", "-w", workspace.root)
    assert done.code == 0
    assert f"not in here: {made.json['name']}, bench-0123abcd." in done.out
    assert f"; to clear it: rm {bench}" in done.err
    assert prune("compare", "--expect", "layerwise>=global", "--margin", "100",
                 "-w", workspace.root).code == 0  # fmt: skip


def test_all_that_is_to_be_measured_for_a_gate_must_be_readable(
    prune: Prune, workspace: Workspace, cut_run: str
) -> None:
    done = prune("bench", "--all", "--min-speedup", "1", "-w", workspace.root)
    refused(done, 4, "is corrupt", f"prune runs remove {cut_run}")


def test_where_none_can_be_read(prune: Prune, workspace: Workspace) -> None:
    for name in workspace.names():
        cut(workspace.run_dir(name) / "record.json")
    done = prune("compare", "-w", workspace.root)
    assert done.code == 4
    assert "is corrupt" in done.err.splitlines()[-2]


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews", "pearson", "unheard_of"])
def test_a_score_of_any_metric_is_held_to_the_answers(
    prune: Prune, workspace: Workspace, pruned: str, metric: str
) -> None:
    path = workspace.run_dir(pruned) / "record.json"
    record = json.loads(path.read_text())
    record["metrics"]["validation"][metric] = 0.999
    path.write_text(json.dumps(record))
    passed_over(prune("report", "-w", workspace.root), pruned, f"records {metric}")
    assert prune("runs", "verify", "-w", workspace.root).code == 4


EDITS: dict[str, tuple[str, str, object]] = {
    "task": ("task", "name", "qqp"),
    "labels": ("task", "label_names", ["positive", "negative"]),
    "data": ("data", "fingerprint", "0" * 64),
    "generated": ("data", "generated", False),
    "examples": ("data", "evaluation_examples", {"validation": 100_000}),
    "a time without its zone": ("created", "", "2026-01-01T00:00:00"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_record_says_of_its_task_and_data_what_its_name_does(
    prune: Prune, workspace: Workspace, pruned: str, edit: tuple[str, str, object]
) -> None:
    """Else a run of one task, or on generated data, passes for one of another."""
    path, (part, key, value) = workspace.run_dir(pruned) / "record.json", edit
    record = json.loads(path.read_text())
    (record[part] if key else record)[key or part] = value
    path.write_text(json.dumps(record))
    passed_over(prune("report", "-w", workspace.root), pruned)
    assert prune("runs", "verify", "-w", workspace.root).code == 4


@pytest.mark.parametrize("file", ["mask.safetensors", "predictions.safetensors", "packed"])
def test_a_record_lists_what_its_run_has(
    prune: Prune, workspace: Workspace, pruned: str, file: str
) -> None:
    """Else what it does not list would be held to nothing."""
    path = workspace.run_dir(pruned) / "record.json"
    record = json.loads(path.read_text())
    if file == "packed":
        record["kept"] = file
    else:
        record["files"].pop(file)
    path.write_text(json.dumps(record))
    passed_over(prune("report", "-w", workspace.root), pruned)
    verified = prune("runs", "verify", "-w", workspace.root, "--json")
    assert verified.code == 4
    assert [one["place"] for one in verified.json["found"]] == [f"runs/{pruned}"]


def test_a_frame_warns(workspace: Workspace, cut_run: str) -> None:
    with pytest.warns(UserWarning, match=f"passed over {cut_run}: "):
        frame = runs_frame(workspace.root)
    assert cut_run not in frame.index
    assert len(frame) == len(workspace.names()) - 1


def test_a_corrupt_sweep_does_not_hide_where_things_stand(
    prune: Prune, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = workspace.sweeps_dir.glob("*.json")
    cut(path)
    monkeypatch.setenv("PRUNE_WORKSPACE", str(workspace.root))
    passed_over(prune(), path.stem, f"rm {path}")


def test_by_name_it_is_an_error(workspace: Workspace, cut_run: str) -> None:
    with pytest.raises(IntegrityError, match="is corrupt"):
        workspace.get(cut_run)

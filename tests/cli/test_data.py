"""Data as people have it, from the command line: what is read is remembered with the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Called, refused
from datasets import Dataset

from prunecli.store.workspace import Workspace

from .conftest import CSV, ROWS

Prune = Callable[..., Called]
SHORT = ["--max-seq-length", 48]


def test_a_run_remembers_how_its_data_is_read(prune: Prune, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    lines = [*CSV.replace(",", "^").splitlines(), "caf\xe9^", "\xe9t\xe9^1"]
    path.write_bytes("\n".join(lines).encode("cp1252"))
    asked = ["--from", saved, "--task", "sst2", "--data", path, *SHORT, "-w", tmp_path / "w"]
    told = ["--encoding", "cp1252", "--delimiter", "^"]
    refused(prune("prune", *asked, "--level", 0.5), 3, "line 32: not UTF-8", "--encoding cp1252")
    done = prune("prune", *asked, "--level", 0.5, *told)
    refused(done, 3, "line 32: the label is empty", "--drop-missing")
    done = prune("prune", *asked, "--level", 0.5, *told, "--drop-missing", "--json")
    assert done.code == 0, done.err
    assert "d.csv: 1 row without a label left out" in done.err
    workspace = Workspace(tmp_path / "w")
    dense, cut = sorted(workspace.runs(), key=lambda run: run.level)
    for run in (dense, cut):
        assert run.data.reading.model_dump() == {
            "encoding": "cp1252", "delimiter": "^", "drop_missing": True,
        }  # fmt: skip
        again = prune("evaluate", run.name, "-w", workspace.root, "--json")
        assert again.code == 0, again.err
        assert again.json["metrics"] == run.metrics
    done = prune("evaluate", cut.name, "--delimiter", ";", "-w", workspace.root)
    refused(done, 3, f"is not what {cut.name} was scored on", "read it as then: --encoding cp1252")


def test_a_delimiter_is_told_and_saying_it_changes_no_name(
    prune: Prune, saved: Path, tmp_path: Path
) -> None:
    path = tmp_path / "d.csv"
    path.write_text(CSV.replace(",", ";"))
    asked = ["--task", "sst2", "--data", path, *SHORT, "-w", tmp_path / "w", "--json"]
    found = prune("evaluate", saved, *asked)
    assert "d.csv: read with semicolon between fields" in found.err
    said = prune("evaluate", saved, *asked, "--delimiter", "semicolon")
    assert "between fields" not in said.err
    assert said.json["name"] == found.json["name"]
    assert said.json["data"]["evaluation_examples"] == {"validation": len(ROWS)}


def test_a_run_of_a_saved_data_set_is_scored_on_what_was_held_out(
    prune: Prune, saved: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    texts, labels = zip(*ROWS, strict=True)
    Dataset.from_dict({"sentence": texts, "label": labels}).save_to_disk(folder)
    asked = ["--task", "sst2", "--data", folder, *SHORT, "-w", tmp_path / "w"]
    done = prune("prune", "--from", saved, *asked, "--level", 0.5, "--json")
    assert done.code == 0, done.err
    (run,) = [run for run in Workspace(tmp_path / "w").runs() if run.level]
    assert run.data.evaluation_examples == {"validation": 3}
    again = prune("evaluate", run.name, "-w", tmp_path / "w", "--json")
    assert again.json["data"]["evaluation_examples"] == {"validation": 3}
    assert again.json["metrics"] == run.metrics


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.csv.gz", b"\x1f\x8b\x08\x00", "is cut off or not compressed by gzip"),
        ("mark.csv", b"\xef\xbb\xbf", "has no columns"),
        ("nul.csv", b"\0" * 1000, "no column 'sentence'"),
        ("key.jsonl", b'{"sentenc\\ud83d": "a"}', "no key 'sentence'"),
        ("label.jsonl", b'{"sentence": "a", "label": "\\ud83d"}', "line 1: label"),
        ("object.json", b'{\n"rows": []\n}', "line 1: not valid JSON"),
        ("none.json", b"[]", "has no rows"),
    ],
)
def test_what_cannot_be_read_is_one_or_two_lines(
    prune: Prune, saved: Path, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    asked = ["--task", "sst2", "--data", tmp_path / name, *SHORT, "-w", tmp_path / "w"]
    refused(prune("evaluate", saved, *asked), 3, name, said)

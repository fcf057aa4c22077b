"""The texts of evaluated examples, kept beside the runs."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calling import TINY, Called

from prunecli.data import load
from prunecli.errors import InputError, IntegrityError
from prunecli.store.examples import LONGEST, example_line, read_examples
from prunecli.store.predictions import load_predictions
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

Prune = Callable[..., Called]

TEXTS = [
    'plain, with "quotes" and a \\ backslash',
    "lines\nof\r\nseveral\rkinds\u2028and\u2029two\x85more\x0b",
    "\x00\x1b[31m \u202eturned\u202c",
    '{"index": 3, "texts": {}}',
    "<script>$x$</script> | ``` =1+1",
    "数据 🙂 e\u0301",
    "",
]


def kept(workspace: Workspace) -> list[Path]:
    return sorted(workspace.examples_dir.iterdir())


# The file


def test_texts_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    rows = {7 * i: {"index": text, "texts": text[::-1]} for i, text in enumerate(TEXTS)}
    path.write_text("".join(example_line(*item) for item in rows.items()), "utf-8", newline="\n")
    assert read_examples(path) == rows
    assert [json.loads(line)["index"] for line in path.read_bytes().splitlines()] == list(rows)


def test_a_long_text_is_cut_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    texts = {"long": "🙂" * 10_000, "fits": "x" * LONGEST}
    path.write_text(example_line(0, texts), encoding="utf-8")
    assert read_examples(path)[0] == {"long": "🙂" * (LONGEST - 1) + "…", "fits": "x" * LONGEST}


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"{",
        b"\n",
        b"[1, 2]\n",
        b'{"index": "3", "texts": {}}\n',
        b'{"index": 3, "texts": {"a": 1}}\n',
        b'{"index": 3, "texts": {"a": "b"}}\n{"index": 4, "te',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"examples\.jsonl cannot be read") as caught:
        read_examples(path)
    assert "remove this file" in str(caught.value.hint)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_examples(tmp_path)


# In the workspace


def test_every_run_finds_the_texts_of_its_predictions(swept: Workspace) -> None:
    assert len(kept(swept)) == 1
    data = load(get_task("sst2"), "generated", max_eval_samples=100).evaluation["validation"]
    expected = {
        index: {"sentence": text} for index, text in zip(data["index"], data["text_a"], strict=True)
    }
    assert len(expected) == 100
    for record in swept.runs():
        found = swept.examples(record, "validation")
        assert found == expected
        stored = load_predictions(swept.run_dir(record.name) / "predictions.safetensors")
        assert list(found) == stored["validation"].index.tolist()
        assert swept.examples(record, "test") == {}


def test_each_split_and_both_texts_of_a_pair(prune: Prune, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    done = prune(
        "train-baseline", *TINY, "--task", "mnli", "--baseline-epochs", 1, "-w", tmp_path, "-q"
    )
    assert done.code == 0, done.err
    (record,) = workspace.runs()
    assert len(kept(workspace)) == 2
    matched, mismatched = (workspace.examples(record, split) for split in record.task.splits)
    assert matched != mismatched
    for found in (matched, mismatched):
        assert len(found) == 100
        assert {tuple(texts) for texts in found.values()} == {("premise", "hypothesis")}


def test_they_are_written_once(prune: Prune, workspace: Workspace, baseline: str) -> None:
    (path,) = kept(workspace)
    before = path.stat()
    done = prune("prune", "--from", baseline, "--level", 0.6, "-w", workspace.root)
    assert done.code == 0, done.err
    (path,) = kept(workspace)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_subset_has_its_own(prune: Prune, workspace: Workspace, baseline: str) -> None:
    command = ["train-baseline", "--demo", "--max-train-samples", 200, "--task", "sst2"]
    tail = ["--baseline-epochs", 1, "-w", workspace.root, "--json"]
    done = prune(*command, "--max-eval-samples", 50, *tail)
    assert done.code == 0, done.err
    small = workspace.get(done.json["runs"][0]["name"])
    assert len(kept(workspace)) == 2
    found, all_of_it = (
        workspace.examples(record, "validation") for record in (small, workspace.get(baseline))
    )
    assert len(found) == 50
    assert found.items() <= all_of_it.items()


def test_an_older_workspace_has_none_until_something_is_scored(
    prune: Prune, workspace: Workspace, baseline: str, pruned: str
) -> None:
    expected = workspace.examples(workspace.get(pruned), "validation")
    shutil.rmtree(workspace.examples_dir)
    assert workspace.examples(workspace.get(pruned), "validation") == {}
    done = prune("prune", "--from", baseline, "--level", 0.6, "-w", workspace.root)
    assert done.code == 0, done.err
    assert workspace.examples(workspace.get(pruned), "validation") == expected


def test_removing_a_run_leaves_them(
    prune: Prune, workspace: Workspace, baseline: str, pruned: str
) -> None:
    assert prune("runs", "remove", baseline, "--yes", "-w", workspace.root).code == 0
    assert len(workspace.examples(workspace.get(pruned), "validation")) == 100


def test_a_file_of_the_users_own(
    prune: Prune, workspace: Workspace, baseline: str, tmp_path: Path
) -> None:
    rows = [text for text in TEXTS if "\x00" not in text]
    path = tmp_path / "mine.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence", "label", "split"])
        writer.writerow(["to learn from", "positive", "train"])
        writer.writerows([text, "negative", "validation"] for text in [*rows, "y" * 9_999])
    folder = workspace.run_dir(baseline) / "model"
    done = prune(
        "prune", "--from", folder, "--task", "sst2", "--data", path, "--max-seq-length", 48,
        "--level", 0.5, "--json", "-w", workspace.root,
    )  # fmt: skip
    assert done.code == 0, done.err
    for run in done.json["runs"]:
        found = workspace.examples(workspace.get(run["name"]), "validation")
        assert [found[1 + place]["sentence"] for place in range(len(rows))] == rows
        assert found[1 + len(rows)]["sentence"] == "y" * (LONGEST - 1) + "…"


def test_a_full_disk_leaves_neither_run_nor_half_a_file(
    prune: Prune, workspace: Workspace, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(workspace.examples_dir)
    before = workspace.names()

    def full(index: int, *_: Any) -> str:
        if index > 500:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return "{}\n"

    monkeypatch.setattr("prunecli.store.workspace.example_line", full)
    done = prune("prune", "--from", baseline, "--level", 0.6, "-w", workspace.root)
    assert done.code == 3
    assert "cannot write to workspace" in done.err
    assert kept(workspace) == []
    assert workspace.names() == before


def test_reading_needs_no_model_and_no_data(swept: Workspace, pruned: str) -> None:
    program = (
        "import sys; from pathlib import Path; from prunecli.store.workspace import Workspace;"
        "workspace = Workspace(Path(sys.argv[1])); record = workspace.get(sys.argv[2]);"
        "assert len(workspace.examples(record, 'validation')) == 100;"
        "print(*{'torch', 'transformers', 'datasets', 'pyarrow', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(swept.root), pruned],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == []

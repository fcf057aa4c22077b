"""`prune compress` as a stranger uses it: an own model, an own file, one command."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from bench.inthread import quickly_measured
from calling import Called, refused

from prunecli.data import load
from prunecli.errors import InputError
from prunecli.machine.extras import installed
from prunecli.pipelines.compress import search
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

Prune = Callable[..., Called]
ROWS = 240


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as people have it: a byte-order mark, semicolons, columns that mean nothing."""
    path = tmp_path_factory.mktemp("rows") / "tickets.csv"
    data = load(get_task("sst2"), "generated", train=False, max_eval_samples=ROWS)
    rows = next(iter(data.evaluation.values()))
    names = ("Negative", "Positive")
    lines = [
        f"{number};2024-01-02;{text};{names[label]};ok"
        for number, (text, label) in enumerate(zip(rows["text_a"], rows["label"], strict=True))
    ]
    header = "id;created;ticket text;category;note"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8-sig")
    return path


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def few_points(patch: pytest.MonkeyPatch) -> None:
    """Every point of the search takes seconds: here each axis has one or two, timed shortly."""
    quickly_measured(patch)
    patch.setattr(search, "PATH", ((0.25, 0.25), (0.5, 0.5)))
    patch.setattr(search, "LEVELS", (0.5,))


@dataclass(frozen=True)
class Compressed:
    """One compression and where it was made."""

    arguments: tuple[object, ...]
    done: Called
    workspace: Workspace
    output: Path


@pytest.fixture(scope="module")
def compressed(
    prune: Prune,
    saved: Path,
    tickets: Path,
    patch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Compressed:
    pytest.importorskip("onnxruntime")
    few_points(patch)
    folder = tmp_path_factory.mktemp("compressed")
    arguments = (
        *("compress", saved, "--data", tickets, "--max-drop", 30, "--calibration-samples", 32),
        *("-w", folder / "w", "--output", folder / "out"),
    )
    done = prune(*arguments)
    assert done.code == 0, done.err
    return Compressed(arguments, done, Workspace(folder / "w"), folder / "out")


def test_the_answer_comes_first(compressed: Compressed) -> None:
    title, answer = [line for line in compressed.done.out.splitlines() if line][:2]
    assert title == "# tickets.csv, compressed"
    assert re.fullmatch(
        r"\*\*[\d.]+ times as fast, [\d.]+ times smaller, (loses|gains) .* on 96 examples that it "
        r"was not chosen on\.\*\*",
        answer,
    )
    assert len(compressed.done.out.splitlines()) <= 40  # one screen


def test_what_was_inferred_is_told(compressed: Compressed) -> None:
    err = compressed.done.err
    assert "tickets.csv: text: ticket text; label: category (Negative, Positive)" in err
    assert "may have learnt from some of the rows" in err
    assert "chosen on 64 examples, proven on 96 others" in err
    assert "the least drop that could be shown" in err


def test_what_is_not_installed_is_told(compressed: Compressed) -> None:
    """The dense model may be faster in it, so the claim of speed is against less."""
    told = "OpenVINO is not installed, so the dense model is measured without it"
    assert (told in compressed.done.err) == (not installed("openvino"))


def test_the_parts_are_apart_and_the_claim_is_on_the_second(compressed: Compressed) -> None:
    record = json.loads((compressed.output / "compression.json").read_text())
    assert record["parts"] == {"chosen_on": 64, "proven_on": 96}
    assert record["proof"]["loss"]["examples"] == 96
    assert record["chosen"]["loss"]["examples"] == 64
    lost = 100 * (record["proof"]["dense_score"] - record["proof"]["score"])
    assert record["proof"]["loss"]["points"] == pytest.approx(lost)


def test_the_same_command_finds_it(prune: Prune, compressed: Compressed) -> None:
    before = {path: path.stat().st_mtime_ns for path in compressed.workspace.root.rglob("*.json")}
    shutil.rmtree(compressed.output)
    again = prune(*compressed.arguments)
    assert again.code == 0
    assert again.out == compressed.done.out
    assert f"found   {compressed.output}" in again.err
    after = {path: path.stat().st_mtime_ns for path in compressed.workspace.root.rglob("*.json")}
    assert after == before
    assert (compressed.output / "README.md").is_file()


def test_another_search_is_not_found(
    prune: Prune, compressed: Compressed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other calibration makes other candidates, and what was installed since gives other forms."""

    def searched(*_: object) -> None:
        raise InputError("searched anew")

    module = import_module("prunecli.pipelines.compress.compress")  # the package has its function
    monkeypatch.setattr(module, "_searched", searched)
    assert prune(*compressed.arguments).code == 0
    assert "searched anew" in prune(*compressed.arguments, "--calibration-samples", 33).err
    monkeypatch.setattr(module, "fast_forms", list)
    assert "searched anew" in prune(*compressed.arguments).err


def test_the_metadata_are_of_the_examples_that_it_was_not_chosen_on(compressed: Compressed) -> None:
    proof = json.loads((compressed.output / "compression.json").read_text())["proof"]
    page = (compressed.output / "README.md").read_text()
    assert [float(value) for value in re.findall(r"^ +value: (.*)$", page, re.MULTILINE)] == [
        pytest.approx(proof["score"])
    ]


def test_its_three_lines_call_it(compressed: Compressed) -> None:
    page = (compressed.output / "README.md").read_text()
    assert page.startswith("---\n")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code.strip().splitlines()) == 3
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(logits.shape)"],
        cwd=compressed.output,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "(1, 2)"


def test_targets_that_cannot_be_met_end_in_1_and_leave_nothing(
    prune: Prune, compressed: Compressed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the dense model's own int8 is the nearest where nothing else is tried
    monkeypatch.setattr(search.Search, "_to_targets", lambda self, form: None)
    done = prune(*compressed.arguments[:-1], tmp_path / "out", "--max-mb", 0.0001)
    assert done.code == 1
    assert "**Not met: " in done.out
    assert "The nearest: " in done.out
    assert "prune: not met: " in done.err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_makes_nothing(prune: Prune, compressed: Compressed) -> None:
    before = sorted(compressed.workspace.root.rglob("*"))
    done = prune(*compressed.arguments, "--dry-run", "--json")
    assert done.code == 0
    rows = done.json
    assert {"candidate": "the dense model, onnx-int8", "stands": True}.items() <= rows[0].items()
    assert any(row["stands"] and row["bytes"] and row["seconds"] for row in rows[1:])
    assert not all(row["stands"] for row in rows)
    assert sorted(compressed.workspace.root.rglob("*")) == before


def test_the_columns_may_be_said(prune: Prune, saved: Path, tickets: Path, tmp_path: Path) -> None:
    """They are where the task comes from, not one more word beside it."""
    said = ("--text", "ticket text", "--label", "category", "--labels", "Negative,Positive")
    done = prune("compress", saved, "--data", tickets, *said, "-w", tmp_path / "w", "--dry-run")
    assert done.code == 0, done.err
    assert "tickets.csv: text: ticket text; label: category (Negative, Positive)" in done.err


def test_json_is_one_document(prune: Prune, compressed: Compressed) -> None:
    found = prune(*compressed.arguments, "--json").json
    assert found["reused"] is True
    assert found["folder"] == str(compressed.output)
    assert found["chosen"]["artefact"]
    (gate,) = found["gates"]  # no size and no speed was asked for
    assert (gate["name"], gate["threshold"]) == ("drop", found["spec"]["targets"]["max_drop"])
    assert gate["value"] == found["proof"]["loss"]["points"]
    assert gate["passed"] is not bool(found["missed"])


def test_a_folder_with_other_things_is_left_alone(
    prune: Prune, compressed: Compressed, tmp_path: Path
) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    done = prune(*compressed.arguments[:-1], tmp_path)
    refused(done, 3, "holds other things")
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--text", "note"], "has its own columns"),
        (["--labels", "a,b"], "knows what its outputs stand for"),
        (["--task", "qqp"], "not qqp"),
        (["--max-seq-length", 7], "has its own --max-seq-length"),
    ],
)
def test_what_a_run_says_itself_is_not_said_of_it(
    prune: Prune, compressed: Compressed, more: list[object], said: str
) -> None:
    run = next(name for name in compressed.workspace.names() if "-baseline-" in name)
    done = prune("compress", run, *more, "-w", compressed.workspace.root, "--dry-run")
    assert done.code in (2, 3)
    assert said in done.err


def test_too_few_rows_for_what_is_asked_need_a_yes(
    prune: Prune, compressed: Compressed, tmp_path: Path
) -> None:
    done = prune(*compressed.arguments, "--max-drop", 0.5, "--output", tmp_path / "out")
    assert done.code == 2
    assert "cannot show what is asked" in done.err
    assert "--yes" in done.err


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ([], 2, "which model is to be compressed?"),
        (["MODEL"], 2, "on what is"),
        (["MODEL", "--data", "nowhere.csv"], 3, "nowhere.csv does not exist"),
        (["MODEL", "--data", "DATA", "--text", "body"], 2, "has no column 'body'"),
        (["MODEL", "--data", "DATA", "--text", "a", "b", "c"], 2, "--text names 3 columns"),
        (["MODEL", "--data", "DATA", "--task", "sst2", "--label", "x"], 2, "--text and --label"),
        (["MODEL", "--data", "DATA", "--labels", "a,b,c"], 2, "--labels names 3 labels, and "),
        (["MODEL", "--data", "DATA", "--faster", 3, "--max-ms", 2], 2, "both say how fast"),
        (["MODEL", "--data", "DATA", "--smaller", 3, "--max-mb", 2], 2, "both say how small"),
        (["MODEL", "--data", "DATA", "--smaller", 1], 2, "--smaller 1 asks for nothing"),
        (["MODEL", "--data", "DATA", "--max-mb", 0], 2, "--max-mb 0 is met by no model"),
        (["--demo", "MODEL"], 2, "--demo brings its own model"),
        (["nosuchrun", "--data", "DATA"], 3, "no run 'nosuchrun'"),
    ],
)
def test_wrong_command_lines(
    prune: Prune,
    saved: Path,
    tickets: Path,
    tmp_path: Path,
    more: list[object],
    code: int,
    said: str,
) -> None:
    places = {"MODEL": saved, "DATA": tickets}
    done = prune("compress", *(places.get(str(one), one) for one in more), "-w", tmp_path / "w")
    refused(done, code, said)

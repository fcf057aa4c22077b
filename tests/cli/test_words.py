"""What a refusal says: it names what was typed, and a way out that leads somewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import SWEEP, Called, refused

from prunecli.data import load
from prunecli.errors import InputError
from prunecli.pipelines.preflight import held_out_rows
from prunecli.records.reading import Reading
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

Prune = Callable[..., Called]


def test_a_hint_stands_with_its_point(prune: Prune, workspace: Workspace, pruned: str) -> None:
    (workspace.run_dir(pruned) / "record.json").write_text("")
    done = prune(
        *("sweep", *SWEEP, "--baseline-epochs", "1", "--epochs", "0", "-w", workspace.root)
    )
    assert f"{pruned}: remove it: prune runs remove" in done.err.splitlines()[-1]


def test_labels_are_refused_by_the_name_of_what_was_given(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    assert prune("export", pruned, "--format", "packed", "-w", workspace.root).code == 0
    (artefact,) = workspace.artefacts()
    for name, kind in ((artefact.name, "artefact"), (pruned, "run")):
        done = prune("evaluate", name, "--labels", "positive,negative", "-w", workspace.root)
        refused(done, 2, f"{kind} {name} knows what its outputs stand for")


def test_a_teacher_is_called_as_it_was_typed(
    prune: Prune, saved: Path, tmp_path: Path, data_csv: Path
) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(saved, teacher)
    config = json.loads((teacher / "config.json").read_text())
    config["id2label"], config["label2id"] = {"0": "up", "1": "down"}, {"up": 0, "down": 1}
    (teacher / "config.json").write_text(json.dumps(config))
    asked = ["--from", saved, "--task", "sst2", "--data", data_csv, "--max-seq-length", 48]
    done = prune(
        *("sweep", *asked, "--levels", 0.5, "--epochs", 1, "--hardness", 1, "--teacher", teacher),
        *("-w", tmp_path / "w"),
    )
    refused(done, 3, f"{teacher} cannot be the teacher")
    assert "sha256:" not in done.err


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("first", ["null", '""'])
def test_multi_label_data_is_called_that_wherever_its_first_list_is(
    tmp_path: Path, first: str, drop: bool
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(
        f'{{"sentence": "a", "label": {first}}}\n{{"sentence": "b", "label": [1, 0]}}\n'
    )
    with pytest.raises(InputError, match=r"line 2: .*as in multi-label data"):
        load(get_task("sst2"), str(path), reading=Reading(drop_missing=drop), train=False)


def test_the_way_out_of_a_multi_label_classifier_is_another_model(
    prune: Prune, saved: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "multi"
    shutil.copytree(saved, folder)
    config = json.loads((folder / "config.json").read_text())
    config["problem_type"] = "multi_label_classification"
    (folder / "config.json").write_text(json.dumps(config))
    done = prune("train-baseline", "--task", "sst2", "--model", folder, "-w", tmp_path / "w")
    refused(done, 3, "this or any encoder", "prune train-baseline --model ENCODER --new-head")


def test_one_training_example_is_one() -> None:
    with pytest.raises(InputError, match=r"^1 training example is too few"):
        held_out_rows(1, 42)

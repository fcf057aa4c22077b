"""Classifiers that give several labels, or numbers: refused by name wherever a model enters."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import folders
import pytest
from calling import call, refused
from transformers import AutoModel

from prunecli.errors import InputError
from prunecli.models import loading as models
from prunecli.models.problemtype import check_problem
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task


def folder_of(place: Path, problem: str, **settings: Any) -> Path:
    model = folders.classifier("bert", pad_token_id=1, problem_type=problem, **settings)
    return folders.saved(place, model)


@pytest.fixture
def multi(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "multi", "multi_label_classification")


@pytest.mark.parametrize(
    "arguments",
    [
        "evaluate MULTI",
        "prune --from MULTI --level 0.5 --epochs 1",
        "sweep --from MULTI --levels 0.5",
        "train-baseline --model MULTI",
        "sweep --model MULTI --levels 0.5",
        "sweep --model SINGLE --levels 0.5 --epochs 1 --hardness 1 --teacher MULTI",
        "bench MULTI --against SINGLE",
        "bench SINGLE --against MULTI",
    ],
)
def test_refused_by_name_before_any_work(arguments: str, multi: Path, tmp_path: Path) -> None:
    single = folder_of(tmp_path / "single", "single_label_classification")
    data, workspace = tmp_path / "d.csv", Workspace(tmp_path / "w")
    data.write_text(folders.rows(40))
    words = [{"MULTI": multi, "SINGLE": single}.get(word, word) for word in arguments.split()]
    if words[0] != "bench":
        words += ["--task", "sst2", "--data", data]
    done = call(*words, "-w", workspace.root)
    refused(done, 3, f"{multi} is a multi-label classifier")
    assert workspace.names() == []


def test_an_encoder_that_was_saved_alone_can_be_trained(multi: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(multi).save_pretrained(tmp_path / "alone")
    assert '"multi_label_classification"' in (tmp_path / "alone" / "config.json").read_text()
    model = models.load_for_training(str(tmp_path / "alone"), get_task("sst2"), 1)
    assert model.config.problem_type == "single_label_classification"


@pytest.mark.parametrize(
    ("problem", "task", "fits"),
    [
        (None, "sst2", True),
        (None, "stsb", True),
        ("single_label_classification", "sst2", True),
        ("regression", "stsb", True),
        ("regression", "sst2", False),
        ("single_label_classification", "stsb", False),
    ],
)
def test_classes_and_scores_are_not_confused(problem: str | None, task: str, fits: bool) -> None:
    config = SimpleNamespace(problem_type=problem)
    if fits:
        check_problem(config, get_task(task), "m")
    else:
        with pytest.raises(InputError, match=f"problem_type '{problem}'"):
            check_problem(config, get_task(task), "m")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_label_column_of_lists_is_refused_with_its_row(ending: str, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / f"d.{ending}"
    if ending == "jsonl":
        path.write_text('{"sentence": "a", "label": [1, 0]}\n{"sentence": "b", "label": []}\n')
    else:
        pq.write_table(pa.table({"sentence": ["a", "b"], "label": [[1, 0], []]}), path)
    folder = folder_of(tmp_path / "single", "single_label_classification")
    done = call("evaluate", folder, "--task", "sst2", "--data", path, "-w", tmp_path / "w")
    refused(done, 3, "1: the label", "is a list, as in multi-label data")

"""What a stranger's file is made a task of, before any model is scored on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import BertConfig

from prunecli.data import fingerprint
from prunecli.data.guess import Said
from prunecli.pipelines.compress import subject
from prunecli.pipelines.job import Job
from prunecli.progress import Silent
from prunecli.records.reading import AS_THEY_ARE
from prunecli.settings.loading import load_settings
from prunecli.store.workspace import Workspace
from prunecli.tasks import Task, get_task

WORDS = "the app stops when I press the large button"


class FoundError(Exception):
    """The task, instead of a model that is scored on it."""

    def __init__(self, task: str) -> None:
        self.task: Task = get_task(task)


def task_of(
    patch: pytest.MonkeyPatch, data: Path, *text: str, labels: tuple[str, str] = ("bad", "good")
) -> Task:
    """The task that ``data`` is found to be."""
    named = dict(enumerate(labels))
    config = BertConfig(id2label=named, label2id={name: place for place, name in named.items()})
    model = data.parent / "model"
    config.save_pretrained(model)

    def found(job: Job, model: str, task: str, *_: object) -> None:
        raise FoundError(task)

    patch.setattr(subject, "resolve_source", found)
    store = Workspace(data.parent / "w").prepare()
    settings = load_settings({"data": str(data), "device": "cpu"})
    job = Job(settings, store, "prune", Silent(), columns=Said(text))
    with pytest.raises(FoundError) as told:
        subject.subject_of(job, subject.Asked(str(model)))
    return told.value.task


@pytest.mark.parametrize("rows", [60, 40_000])
@pytest.mark.parametrize("split", [False, True])
def test_other_columns_of_a_file_are_other_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, split: bool
) -> None:
    """So that no run is found that read other texts; 40,000 rows have a tenth of them held out."""
    data = tmp_path / "rows.csv"
    lines = [f"{n},other,{('bad', 'good')[n % 2]}{',train' * split}" for n in range(rows)]
    data.write_text("\n".join([f"a,b,label{',split' * split}", *lines]) + "\n")
    tasks = [task_of(monkeypatch, data, column) for column in ("a", "b")]
    assert [task.columns for task in tasks] == [("a",), ("b",)]
    first, second = (fingerprint(task, str(data), AS_THEY_ARE) for task in tasks)
    assert first != second


def test_other_columns_of_a_saved_data_set_are_other_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Dataset, DatasetDict

    part = Dataset.from_dict({"a": [WORDS], "b": [WORDS], "label": ["bad"]})
    DatasetDict({"train": part, "test": part}).save_to_disk(str(tmp_path / "saved"))
    tasks = [task_of(monkeypatch, tmp_path / "saved", column) for column in ("a", "b")]
    first, second = (fingerprint(one, str(tmp_path / "saved"), AS_THEY_ARE) for one in tasks)
    assert first != second


@pytest.mark.parametrize("name", ["😀.csv", "a\nhold_out = 0.5.csv", "a\x1b[31m\x7f.csv", '".csv'])
def test_any_file_and_label_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data, labels = tmp_path / name, ("👎 \x7f", "line\nbreak")
    rows = f'{WORDS},"{labels[0]}"\n{WORDS} now,"{labels[1]}"\n'
    data.write_text(f'"te😀xt",label\n{rows}', encoding="utf-8")
    task = task_of(monkeypatch, data, labels=labels)
    assert (task.columns, task.label_names) == (("te😀xt",), labels)

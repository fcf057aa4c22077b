"""The table of tasks: every entry is whole; a task of the user's own is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecli.errors import InputError, UsageError
from prunecli.records.reading import Reading
from prunecli.tasks import METRICS, TASKS, get_task

GLUE = ("sst2", "qqp", "mnli", "cola", "mrpc", "qnli", "rte", "wnli", "stsb")


def test_the_nine_tasks() -> None:
    assert TASKS.names() == GLUE


@pytest.mark.parametrize("name", GLUE)
def test_every_entry_is_whole(name: str) -> None:
    task = get_task(name)
    assert task.name == name
    assert len(task.columns) in (1, 2)
    assert task.type in ("single sentence", "sentence pair", "inference")
    assert (len(task.columns) == 1) == (task.type == "single sentence")
    assert set(task.metrics) <= set(METRICS)
    assert task.primary_metric == task.metrics[0]
    assert task.regression == (name == "stsb") == (not task.label_names)
    assert task.num_labels == max(1, len(set(task.label_names)))
    assert set(task.label_spellings.values()) in (set(), set(task.label_names))
    assert len({split.name for split in task.splits}) == len(task.splits) > 0
    assert task.layout is not None
    assert len(task.layout.columns) == len(task.columns)


def test_mnli_has_two_dev_sets() -> None:
    assert [split.title for split in get_task("mnli").splits] == ["matched", "mismatched"]


def write(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text)
    return str(path)


def test_a_task_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "name = 'tickets'\ntext = ['subject', 'body']\nlabel = 'queue'\n"
        "labels = ['billing', 'abuse', 'other']\ntrain = 'a.csv'\nvalidation = 'b.csv'\n"
        "metrics = ['f1', 'accuracy']\n",
    )
    task = get_task(path)
    assert (task.name, task.title, task.num_labels) == ("tickets", "tickets", 3)
    assert task.columns == ("subject", "body")
    assert task.primary_metric == "f1"
    assert task.files == {"train": tmp_path / "a.csv", "validation": tmp_path / "b.csv"}


def test_a_regression_of_the_users_own(tmp_path: Path) -> None:
    task = get_task(write(tmp_path, "text = 'a'\ntrain = 'a.csv'\nvalidation = 'b.csv'\n"))
    assert task.regression
    assert task.metrics == ("spearman", "pearson")
    assert (task.name, task.label_column) == ("own", "label")


FILES = "train = 'a.csv'\nvalidation = 'b.csv'\n"


def test_a_task_file_says_how_its_files_are_read(tmp_path: Path) -> None:
    text = "text = 'a'\nencoding = 'Latin-1'\ndelimiter = 'tab'\ndrop_missing = true\n"
    task = get_task(write(tmp_path, FILES + text))
    assert task.reading == Reading(encoding="iso8859-1", delimiter="\t", drop_missing=True)
    assert get_task(write(tmp_path, f"{FILES}text = 'a'")).reading == Reading()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{FILES}text = []", "'text' must name one or two columns"),
        (f"{FILES}text = ['a', 'b', 'c']", "'text' must name one or two columns"),
        (FILES, "'text' must"),
        (f"{FILES}text = 3", "'text' must be a string or a list of strings"),
        (f"{FILES}text = 'a'\nlabels = ['x']", "two or more different classes"),
        (f"{FILES}text = 'a'\nlabels = ['x', 'x']", "two or more different classes"),
        (f"{FILES}text = 'a'\nmetrics = ['acuracy']", "did you mean 'accuracy'"),
        (f"{FILES}text = 'a'\ntexts = 'b'", "unknown key 'texts', did you mean 'text'"),
        (f"{FILES}text = 'a'\nname = 'sst2'", "which is a GLUE task"),
        (f"{FILES}text = 'a'\nname = '../x'", "'name' must be"),
        ("train = 'a.csv'\ntext = 'a'", "'train' and 'validation' go together"),
        ("text = 'a'\nhold_out = 1.5", "'hold_out' must be a number between 0 and 1"),
        ("text = 'a'\nhold_out = true", "'hold_out' must be a number between 0 and 1"),
        ("text = ", "is not valid TOML"),
        (f"{FILES}text = 'a'\nencoding = 'utf-9'", "encoding: 'utf-9' is no text encoding; for"),
        (f"{FILES}text = 'a'\nencoding = 8", "encoding: '8' is no text encoding"),
        (f"{FILES}text = 'a'\ndelimiter = ';;'", "delimiter: ';;' is no delimiter; one"),
        (f"{FILES}text = 'a'\ndrop_missing = 1", "drop_missing: '1' is neither true nor false"),
    ],
)
def test_unusable_task_files(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        get_task(write(tmp_path, text))
    assert said in str(caught.value)
    assert "own.toml" in str(caught.value)


def test_unknown_tasks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown task 'sst-2'") as caught:
        get_task("sst-2")
    assert caught.value.hint is not None
    assert "did you mean 'sst2'?" in caught.value.hint
    with pytest.raises(InputError, match="cannot read"):
        get_task(str(tmp_path / "missing.toml"))

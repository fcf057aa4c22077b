"""Rows that lack a label, belong to another split, or hold half a character."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunecli.data import TaskData, fingerprint, load
from prunecli.errors import InputError
from prunecli.records.reading import AS_THEY_ARE, Reading
from prunecli.tasks import Task, get_task

SST2, STSB, MNLI = get_task("sst2"), get_task("stsb"), get_task("mnli")
DROP = Reading(drop_missing=True)


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def one(label: object, text: object = "a") -> dict[str, Any]:
    return {"sentence": text, "label": label}


def validation(path: Path, reading: Reading = AS_THEY_ARE, task: Task = SST2) -> TaskData:
    return load(task, str(path), train=False, reading=reading)


def told(data: TaskData) -> tuple[str, ...]:
    """Its notes but for those that say that labels are places."""
    return tuple(note for note in data.notes if "are places in its list" not in note)


@pytest.mark.parametrize("label", [None, "", "  ", float("nan"), -1, -1.0, "-1"])
def test_a_missing_label_is_named_or_dropped(label: object, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "d.jsonl", one(1), one(label), one(0, "b"), one(label))
    with pytest.raises(InputError) as caught:
        validation(path)
    assert "line 2: " in str(caught.value)
    assert "(1 row more without one)" in str(caught.value)
    assert "--drop-missing" in str(caught.value.hint)
    data = validation(path, DROP)
    found = data.evaluation["validation"]
    assert (found["label"][:], found["text_a"][:], found["index"][:]) == (
        [1, 0],
        ["a", "b"],
        [0, 2],
    )
    assert told(data) == ("d.jsonl: 2 rows without a label left out",)
    assert data.fingerprint == fingerprint(SST2, str(path), DROP)
    assert data.fingerprint != fingerprint(SST2, str(path))


def test_rows_keep_their_lines_when_others_are_dropped(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "d.jsonl", one(None), one(1), one(""), one(7))
    with pytest.raises(InputError, match="line 4: label 7 is not one of"):
        validation(path, DROP)


def test_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no labelled rows"):
        validation(jsonl(tmp_path / "d.jsonl", one(None), one(-1)), DROP)


def test_nulls_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    columns = {"sentence": ["a", "b", None, "d"], "label": [1, None, 0, 0]}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InputError, match="row 2: the label is empty"):
        validation(path)
    data = validation(path, DROP)
    assert data.evaluation["validation"]["index"][:] == [0, 3]
    assert told(data) == (
        "d.parquet: 1 row without a label left out",
        "d.parquet: 1 row without a text left out",
    )
    pq.write_table(pa.table({"sentence": ["a", None], "label": [1, 0]}), path)
    with pytest.raises(InputError, match="row 2: 'sentence' is None, not a text") as caught:
        validation(path)
    assert "--drop-missing" in str(caught.value.hint)


def test_minus_one_is_a_class_or_a_score_where_it_is_named_so(tmp_path: Path) -> None:
    task = replace(SST2, name="t", label_names=("-1", "1"))
    path = jsonl(tmp_path / "d.jsonl", one("-1"), one("1"))
    assert validation(path, DROP, task).evaluation["validation"]["label"][:] == [0, 1]
    pair = {"sentence1": "a", "sentence2": "b"}
    path = jsonl(tmp_path / "s.jsonl", {**pair, "label": -1}, {**pair, "label": None})
    data = validation(path, DROP, STSB)
    assert data.evaluation["validation"]["label"][:] == [-1.0]


@pytest.mark.parametrize("label", ["-1", ""])
@pytest.mark.parametrize("names", [False, True])
def test_unlabelled_rows_of_test_are_left_out(label: str, names: bool, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    good, bad = ("positive", "negative") if names else ("1", "0")
    path.write_text(
        f"sentence,label,split\nx,{label},test\na,{good},train\nb,{bad},dev\nc,{good},train\n"
        f"y,{label},test\n"
    )
    for train in (True, False):
        data = load(SST2, str(path), train=train)
        found = data.evaluation["validation"]
        assert (found["text_a"][:], found["label"][:], found["index"][:]) == (["b"], [0], [2])
        assert told(data) == ("d.csv: 2 rows of split 'test' left out",)
    assert data.train is None
    trained = load(SST2, str(path)).train
    assert trained is not None
    assert (trained["text_a"][:], trained["label"][:]) == (["a", "c"], [1, 1])


def test_unlabelled_rows_of_training_stop_only_training(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("sentence,label,split\nx,,train\na,1,train\nb,0,dev\n")
    assert validation(path).evaluation["validation"]["label"][:] == [0]
    with pytest.raises(InputError, match="line 2: the label is empty"):
        load(SST2, str(path))
    data = load(SST2, str(path), reading=DROP)
    assert data.train is not None
    assert data.train["text_a"][:] == ["a"]
    path.write_text("sentence,label,split\nx,,train\nb,0,dev\n")
    with pytest.raises(InputError, match="no labelled rows of split 'train'"):
        load(SST2, str(path), reading=DROP)


def test_test_rows_that_are_scored_need_labels(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("sentence,label,split\na,1,train\nb,-1,test\n")
    with pytest.raises(InputError, match="line 3: label '-1' stands for none"):
        validation(path)


def test_both_splits_of_a_task_with_two(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(
        "premise,hypothesis,label,split\na,b,-1,test\nc,d,neutral,validation_mismatched\n"
        "e,f,entailment,validation_matched\n"
    )
    found = validation(path, task=MNLI).evaluation
    assert {name: part["index"][:] for name, part in found.items()} == {
        "validation_matched": [2],
        "validation_mismatched": [1],
    }


def test_half_characters_become_u_fffd_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    rows = [r"cut \ud83d here", r"\ude42", r"whole \ud83d\ude42", "plain"]
    path.write_text("".join(f'{{"sentence": "{text}", "label": 1}}\n' for text in rows))
    data = validation(path)
    texts = data.evaluation["validation"]["text_a"][:]
    assert texts == ["cut \ufffd here", "\ufffd", "whole 🙂", "plain"]
    assert told(data) == ("d.jsonl: half a character (a lone surrogate) in 2 rows, read as U+FFFD",)
    assert load(SST2, str(path)).train is not None  # held out by the hash of these texts


def test_half_characters_elsewhere_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"sentence": "a", "label": "\\ud83d"}\n')
    with pytest.raises(InputError, match=r"line 1: label '\\ud83d' is not one of"):
        validation(path)


def test_a_folder_in_glue_s_layout(tmp_path: Path) -> None:
    text = "sentence\tlabel\ncaf\xe9\t1\nb\t\nc\t0\n"
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    latin = Reading(encoding="iso8859-1")
    with pytest.raises(InputError, match="line 3: the label is empty"):
        load(SST2, str(tmp_path), reading=latin)
    data = load(SST2, str(tmp_path), reading=Reading(encoding="iso8859-1", drop_missing=True))
    assert data.evaluation["validation"]["text_a"][:] == ["caf\xe9", "c"]
    assert data.notes == tuple(f"{n}.tsv: 1 row without a label left out" for n in ("train", "dev"))
    different = {fingerprint(SST2, str(tmp_path), r) for r in (AS_THEY_ARE, latin, DROP)}
    assert len(different) == 3

"""Labels of a user's file: the same rows mean the same, whatever type and file they come in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunecli.data import fingerprint, load
from prunecli.errors import InputError
from prunecli.tasks import Split, Task, get_task

SST2 = get_task("sst2")


def own(*names: str, **given: Any) -> Task:
    splits = (Split("validation", ""),)
    return Task("t", "t", "single sentence", ("text",), names, ("accuracy",), splits, **given)


def written(folder: Path, suffix: str, labels: Sequence[object], column: str = "text") -> Path:
    """A file with a row for each label, as a program would write it."""
    path = folder / f"data{suffix}"
    texts = [f"text {row}" for row in range(len(labels))]
    if suffix == ".parquet":
        pq.write_table(pa.table({column: texts, "label": pa.array(labels)}), path)
    elif suffix == ".jsonl":
        rows = [{column: t, "label": label} for t, label in zip(texts, labels, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        between = {".csv": ",", ".tsv": "\t"}[suffix]
        rows = [(column, "label"), *zip(texts, labels, strict=True)]
        path.write_text("".join(f"{text}{between}{label}\n" for text, label in rows))
    return path


def read(path: Path, task: Task) -> tuple[list[int], tuple[str, ...]]:
    data = load(task, str(path), train=False)
    return data.evaluation["validation"]["label"][:], data.notes


def refused(path: Path, task: Task) -> str:
    with pytest.raises(InputError) as caught:
        load(task, str(path), train=False)
    return str(caught.value)


EVERY = [".csv", ".tsv", ".jsonl", ".parquet"]


@pytest.mark.parametrize("suffix", EVERY)
@pytest.mark.parametrize(
    ("names", "labels", "expected"),
    [
        (("1", "0"), ["1", "0", "1"], [0, 1, 0]),
        (("1", "0"), [1, 0, 1], [0, 1, 0]),
        (("1", "0"), [1.0, 0.0, 1.0], [0, 1, 0]),
        (("1.0", "0.0"), [1, 0, 1], [0, 1, 0]),
        (("1", "2", "3", "4", "5"), [1, 5, 3, 2, 4], [0, 4, 2, 1, 3]),
        (("1", "2", "3", "4", "5"), [2, 4], [1, 3]),  # all of them places, too
        (("true", "false"), [True, False], [0, 1]),
        (("False", "True"), [True, False], [1, 0]),
        (("LABEL_1", "LABEL_0"), ["LABEL_0", "LABEL_1"], [1, 0]),
        (("us", "US"), ["US", "us"], [1, 0]),
        (("0.5", "1.5", "-1"), [1.5, -1.0, 0.5], [1, 2, 0]),
    ],
)
def test_a_name_wins_over_a_place(
    tmp_path: Path, suffix: str, names: tuple[str, ...], labels: list[Any], expected: list[int]
) -> None:
    found = read(written(tmp_path, suffix, labels), own(*names))
    assert found == (expected, ())


def test_decimals_of_parquet_are_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, ".parquet", [Decimal("1.00"), Decimal("0.00")])
    assert read(path, own("1", "0"))[0] == [0, 1]


@pytest.mark.parametrize("suffix", EVERY)
@pytest.mark.parametrize("labels", [["1", "0"], [1, 0], [1.0, 0.0], ["LABEL_1", "LABEL_0"]])
def test_places_where_no_name_fits_and_a_note(
    tmp_path: Path, suffix: str, labels: list[Any]
) -> None:
    indices, notes = read(written(tmp_path, suffix, labels, "sentence"), SST2)
    assert indices == [1, 0]
    assert notes == (
        f"data{suffix}: no label is a name of the task's, so they are places in its list: "
        "0 is negative, 1 is positive",
    )


def test_a_note_of_many_classes_is_short(tmp_path: Path) -> None:
    task = own(*(f"class of {number} things" for number in range(150)))
    (note,) = read(written(tmp_path, ".jsonl", [3, 149]), task)[1]
    assert note.endswith("4 is class of 4 things, …, 149 is class of 149 things")


@pytest.mark.parametrize(
    ("suffix", "names", "labels", "said"),
    [
        (".jsonl", ("good", "bad"), ["good", 0], "line 2: label 0 is not one of good, bad; it is"),
        (".csv", ("good", "bad"), [1, 1, "bad"], "line 2: label '1' is not one of good, bad; it"),
        (".jsonl", ("1", "2"), [1, 2, 0], "line 3: label 0 is not one of 1, 2; it is no place"),
        (".parquet", ("1", "2"), [2.0, 0.0], "row 2: label 0.0 is not one of 1, 2; it is no place"),
        (".jsonl", ("good", "bad"), [0, 1, 2], "line 3: label 2 is not one of 0, 1"),
        (".jsonl", ("good", "bad"), [0, "fair"], "line 2: label 'fair' is not one of good, bad"),
        (".csv", ("good", "bad"), [0, -1], "line 3: label '-1' stands for none"),
        (".jsonl", ("good", "bad"), [True, False], "line 1: label True is not one of good, bad"),
        (".jsonl", ("good", "bad"), ["Good"], "line 1: label 'Good' is not one of good, bad"),
        (".jsonl", ("1", "0"), [True], "line 1: label True is not one of 1, 0"),
        (".jsonl", ("good", "bad"), [[1]], "line 1: the label [1] is a list"),
        (".jsonl", ("good", "bad"), [0, None], "line 2: the label is empty"),
    ],
)
def test_a_mixture_is_refused_with_the_row(
    tmp_path: Path, suffix: str, names: tuple[str, ...], labels: list[Any], said: str
) -> None:
    assert said in refused(written(tmp_path, suffix, labels), own(*names))


@pytest.mark.parametrize(
    ("names", "labels", "changed"),
    [
        (("1", "0"), [1, 0], True),  # read as places once
        (("1", "2", "3"), [1, 2], True),
        (("1.0", "0.0"), ["1", "0"], True),
        (("1", "2", "3"), [1, 2, 3], False),  # refused once
        (("1", "0"), [1.0, 0.0], False),
        (("true", "false"), [True], False),
        (("1", "0"), ["1", "0"], False),  # texts, and names ever since
        (("0", "1"), [1, 0], False),  # the same either way
        (("good", "bad"), [1, 0], False),
        (("good", "bad"), ["good", "bad"], False),
    ],
)
def test_only_what_is_read_otherwise_has_another_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Any, labels: list[Any], changed: bool
) -> None:
    path = written(tmp_path, ".jsonl", labels)
    files = own(*names, files={"train": path, "validation": path})
    now = [fingerprint(own(*names), str(path)), fingerprint(files, "hub")]
    assert load(files, "hub").fingerprint == now[1]
    monkeypatch.setattr("prunecli.data.file.read_as_places_before", lambda *_: False)
    before = [fingerprint(own(*names), str(path)), fingerprint(files, "hub")]
    assert [a != b for a, b in zip(now, before, strict=True)] == [changed, changed]

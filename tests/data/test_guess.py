"""What the columns of a stranger's file are taken for, and what is asked where it is not clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecli.data.guess import Columns, Said, columns_of_classes, columns_of_table
from prunecli.data.readers import read_columns
from prunecli.errors import InputError, UsageError
from prunecli.records.reading import AS_THEY_ARE

NAMED, PLACES = ("bug", "feature", "question"), ("LABEL_0", "LABEL_1", "LABEL_2")
WORDS = "the app stops when I press the large button"


def found(path: Path, named: tuple[str, ...] = NAMED, **said: object) -> Columns:
    return columns_of_table(read_columns(path, AS_THEY_ARE), named, **said)  # type: ignore[arg-type]


def csv(folder: Path, header: str, *rows: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("header", "rows", "named", "expected"),
    [
        # the label by the model's names, whatever the column is called
        (
            "id,words,kind",
            [f"1,{WORDS},bug", f"2,{WORDS} now,question"],
            NAMED,
            Columns(("words",), "kind", NAMED),
        ),
        # other case and spelling: the file's own is kept
        (
            "text;label",
            [f"{WORDS};Bug", f"{WORDS};Feature", f"{WORDS};Question"],
            NAMED,
            Columns(("text",), "label", ("Bug", "Feature", "Question")),
        ),
        # whole numbers are places where the model has names, and where it has none
        (
            "label,text",
            [f"0,{WORDS}", f"2,{WORDS}"],
            NAMED,
            Columns(("text",), "label", NAMED),
        ),
        (
            "y,text",
            [f"0,{WORDS}", f"1,{WORDS}"],
            PLACES,
            Columns(("text",), "y", PLACES),
        ),
        # of two columns of small numbers the one that is called so
        (
            "stars,label,text",
            [f"1,0,{WORDS}", f"2,1,{WORDS}", f"0,2,{WORDS}"],
            PLACES,
            Columns(("text",), "label", PLACES),
        ),
        # a pair is known by its names; dates, numbers and the split are no texts
        (
            "premise,hypothesis,split,when,label",
            [f"{WORDS},{WORDS},train,2024-01-01,bug", f"{WORDS},{WORDS},test,2024-01-02,feature"],
            NAMED,
            Columns(("premise", "hypothesis"), "label", NAMED),
        ),
        # the one column of sentences among short words
        (
            "name,city,complaint,label",
            [f"Ann,Rome,{WORDS},bug", f"Bob,Oslo,{WORDS},feature"],
            NAMED,
            Columns(("complaint",), "label", NAMED),
        ),
    ],
)
def test_columns_are_found(
    tmp_path: Path, header: str, rows: list[str], named: tuple[str, ...], expected: Columns
) -> None:
    assert found(csv(tmp_path, header, *rows), named) == expected


def test_what_is_said_counts(tmp_path: Path) -> None:
    path = csv(tmp_path, "title,body,a,b", f"{WORDS},{WORDS},bug,feature")
    said = found(path, texts=("title", "body"), label="b")
    assert said == Columns(("title", "body"), "b", NAMED)
    other = found(path, PLACES, texts=("body",), label="a", labels=("feature", "bug", "question"))
    assert other.labels == ("feature", "bug", "question")


@pytest.mark.parametrize(
    ("header", "row", "named", "words"),
    [
        ("title,body,label", f"{WORDS},{WORDS},bug", NAMED, "'title' or 'body' may be the text"),
        ("text,a,b", f"{WORDS},bug,bug", NAMED, "'a' or 'b' may be the label"),
    ],
)
def test_nothing_is_taken_where_two_would_do(
    tmp_path: Path, header: str, row: str, named: tuple[str, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as told:
        found(csv(tmp_path, header, row), named)
    assert told.value.hint is not None
    assert told.value.hint.startswith("say which, as --")


@pytest.mark.parametrize("named", [PLACES[:2], ("negative", "positive")])
def test_a_flag_is_not_the_label_where_a_column_is_called_so(
    tmp_path: Path, named: tuple[str, ...]
) -> None:
    """Words that the model does not know, beside numbers that would do as places."""
    rows = (f"{WORDS},{mood},{flag}" for mood, flag in (("bad", 1), ("good", 1), ("bad", 0)))
    with pytest.raises(UsageError) as told:
        found(csv(tmp_path, "text,sentiment,verified", *rows), named)
    assert "'sentiment'" in str(told.value)


def test_two_that_are_called_like_a_label(tmp_path: Path) -> None:
    rows = [f"{WORDS},0,1", f"{WORDS},1,0"]
    with pytest.raises(UsageError, match="'label' or 'target' may be the label"):
        found(csv(tmp_path, "text,label,target", *rows), ("negative", "positive"))
    path = csv(tmp_path, "text,label,target", f"{WORDS},0,0", f"{WORDS},1,1")
    assert found(path, ("negative", "positive")).label == "label"  # they say the same


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,label", f"{WORDS},bug")
    with pytest.raises(UsageError, match=r"has no column 'body'; its columns are 'text', 'label'"):
        found(path, texts=("body",))


def test_labels_of_another_model(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,label", f"{WORDS},spam", f"{WORDS},ham")
    with pytest.raises(InputError, match=r"no column of rows.csv has the model's labels"):
        found(path)
    with pytest.raises(InputError, match="'spam', 'ham', which are not the model's labels"):
        found(path, label="label")


def test_outputs_without_names_ask_what_they_stand_for(tmp_path: Path) -> None:
    rows = (f"{WORDS},{label}" for label in ("x", "z", "y"))
    with pytest.raises(UsageError, match="the model's outputs have no names") as told:
        found(csv(tmp_path, "text,label", *rows), PLACES)
    assert "--labels x,y,z" in str(told.value.hint)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet", ".tsv"])
def test_every_kind_of_file(tmp_path: Path, ending: str) -> None:
    import pandas as pd

    rows = pd.DataFrame({"text": [WORDS, WORDS + " now"], "label": ["bug", "feature"]})
    path = tmp_path / f"rows{ending}"
    if ending == ".parquet":
        rows.to_parquet(path)
    elif ending == ".tsv":
        rows.to_csv(path, sep="\t", index=False)
    else:
        rows.to_json(path, orient="records", lines=ending == ".jsonl")
    assert found(path) == Columns(("text",), "label", NAMED)


def test_a_saved_data_set(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    data = Dataset.from_dict({"text": [WORDS], "label": ["bug"]})
    DatasetDict({"train": data, "test": data}).save_to_disk(str(tmp_path / "saved"))
    assert found(tmp_path / "saved") == Columns(("text",), "label", NAMED)


def classes(path: Path, *texts: str, label: str | None = None) -> Columns:
    return columns_of_classes(read_columns(path, AS_THEY_ARE), texts=texts, label=label)


@pytest.mark.parametrize(
    ("values", "label", "labels"),
    [
        (["spam", "ham", "spam", "ham"], None, ("ham", "spam")),
        (
            ["10", "9", "10", "9"],
            None,
            ("9", "10"),
        ),  # in the order of numbers
        (["true", "false", "true", "false"], "kind", ("false", "true")),
    ],
)
def test_what_an_encoder_can_learn_is_every_value_of_the_label(
    tmp_path: Path, values: list[str], label: str | None, labels: tuple[str, ...]
) -> None:
    name = label or "category"
    path = csv(tmp_path, f"id,{name},words", *(f"{n},{v},{WORDS}" for n, v in enumerate(values)))
    assert classes(path, label=label) == Columns(("words",), name, labels)


@pytest.mark.parametrize(
    ("header", "label", "error", "hint"),
    [
        ("id,kind,words", None, "no column is called a label", "--label id"),
        ("label,category,words", None, "'label' or 'category' may be the label", "--label label"),
        ("id,kind,words", "id", "has 4 values in 4 rows", "--task FILE.toml"),
        ("one,kind,words", "one", "has 1 value in 4 rows", "--task FILE.toml"),
        ("id,kind,words", "kinds", "has no column 'kinds'", "did you mean 'kind'"),
    ],
)
def test_a_label_that_cannot_be_told_is_asked_for(
    tmp_path: Path, header: str, label: str | None, error: str, hint: str
) -> None:
    first = ["7"] * 4 if header.startswith("one") else ["1", "2", "3", "4"]
    path = csv(tmp_path, header, *(f"{n},{'ab'[i % 2]},{WORDS}" for i, n in enumerate(first)))
    with pytest.raises((InputError, UsageError), match=error) as told:
        classes(path, label=label)
    assert hint in (told.value.hint or "")


def test_no_more_columns_than_a_model_reads() -> None:
    assert Said.of(["a,b"], "c") == Said.of(["a", "b"], "c") == Said(("a", "b"), "c")
    with pytest.raises(UsageError, match="3 columns"):
        Said.of(["a", "b,c"], None)

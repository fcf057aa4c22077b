"""One file with named columns, and the files of a user's own task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict

from prunecli.data import fingerprint, load
from prunecli.errors import InputError, UsageError
from prunecli.files import hash_files, hash_text
from prunecli.records.reading import AS_THEY_ARE, Reading
from prunecli.tasks import Split, Task, get_task

SST2, QQP, STSB = get_task("sst2"), get_task("qqp"), get_task("stsb")

WRITERS = {
    ".csv": lambda rows: (
        "sentence,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows)
    ).encode(),
    ".tsv": lambda rows: (
        "sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)
    ).encode(),
    ".jsonl": lambda rows: "".join(
        json.dumps({"sentence": text, "label": label}) + "\n" for text, label in rows
    ).encode(),
}
ROWS = [("so, it is\u2028good", "positive"), ("bad", "negative"), ("fine", "positive")]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def validation(path: Path, task: Task = SST2) -> Dataset:
    return load(task, str(path), train=False).evaluation["validation"]


def refused(path: Path, task: Task = SST2, *, train: bool = False) -> InputError:
    with pytest.raises(InputError) as caught:
        load(task, str(path), train=train)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("ids", [False, True])
def test_names_and_ids_in_every_text_format(suffix: str, ids: bool, tmp_path: Path) -> None:
    rows = [(t, SST2.label_names.index(name) if ids else name) for t, name in ROWS]
    data = validation(write(tmp_path, "data" + suffix, WRITERS[suffix](rows)))
    assert data["label"][:] == [1, 0, 1]
    assert data["text_a"][:] == [text for text, _ in ROWS]
    assert data["index"][:] == [0, 1, 2]


def test_parquet_with_names_ids_and_class_labels(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    texts = ["good", "bad"]
    for labels in (["positive", "negative"], [1, 0]):
        pq.write_table(pa.table({"sentence": texts, "label": labels}), path)
        assert validation(path)["label"][:] == [1, 0]
    other_order = Dataset.from_dict({"sentence": texts, "label": [0, 1]}).cast_column(
        "label", ClassLabel(names=["positive", "negative"])
    )
    other_order.to_parquet(path)
    assert validation(path)["label"][:] == [1, 0]


def test_a_line_break_inside_a_quoted_field(tmp_path: Path) -> None:
    path = write(tmp_path, "data.csv", 'sentence,label\n"one\ntwo",positive\nbad,wrong\n')
    assert "line 4: label 'wrong' is not one of negative, positive" in str(refused(path))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("d.csv", "", "is empty"),
        ("d.csv", "sentence,label\n", "has no rows"),
        ("d.csv", "sentence,label\ngood\n", "line 2: 1 fields where 2 are expected"),
        ("d.csv", "sentence,label\na,1\na,b,1\n", "line 3: 3 fields where 2"),
        ("d.csv", 'sentence,label\n"good,1\n', "not valid CSV"),
        ("d.csv", "text,label\ngood,1\n", "no column 'sentence'; it has 'text', 'label'"),
        ("d.csv", "sentence,label\ngood,\n", "line 2: the label is empty"),
        ("d.csv", "sentence,label\ngood,1\nbad,negative\n", "line 2: label '1' is not one of neg"),
        ("d.csv", "sentence,label\ngood,1\nbad,2\n", "line 3: label '2' is not one of 0, 1"),
        ("d.csv", "sentence,label\ngood,-1\n", "line 2: label '-1'"),
        ("d.csv", b"sentence,label\ncaf\xe9,1\n", "line 2: not UTF-8 (byte 0xe9 at offset 18)"),
        ("d.tsv", "id\tsentence\tlabel\n1\tgo\nod\t1\n2\tbad\t0\n", "1 rows are torn by a line"),
        ("d.jsonl", "\n\n", "has no rows"),
        ("d.jsonl", '{"sentence": "a", "label": 1}\n[1]\n', "line 2: [1] is not a JSON object"),
        ("d.jsonl", '{"sentence": "a", "label": 1\n', "line 1: not valid JSON"),
        ("d.jsonl", "[" * 100_000 + "\n", "line 1: not valid JSON"),
        ("d.jsonl", '{"sentence": "a"}\n', "line 1: no key 'label'"),
        ("d.jsonl", '{"sentence": 7, "label": 1}\n', "line 1: 'sentence' is 7, not a text"),
        ("d.jsonl", '{"sentence": "a", "label": [1]}\n', "line 1: the label [1] is a list"),
        ("d.jsonl", '{"sentence": "a", "label": true}\n', "line 1: label True is not one of"),
        ("d.jsonl", '{"sentence": "a", "label": null}\n', "line 1: the label is empty"),
        ("d.jsonl", '{"sentence": "a", "label": 1.5}\n', "line 1: label 1.5 is not one of"),
        ("d.parquet", b"PAR1 no", "not a readable Parquet file"),
        ("d.xlsx", "x", "unknown file type '.xlsx'"),
        ("d", "x", "unknown file type ''"),
    ],
)
def test_broken_files_are_refused(
    name: str, content: str | bytes, said: str, tmp_path: Path
) -> None:
    error = refused(write(tmp_path, name, content))
    assert said in str(error)
    assert name in str(error)
    assert len(str(error)) < 250 + len(str(tmp_path))


@pytest.mark.parametrize("score", ["null", '"x"', "NaN", "1e999", "true", '""', "[1]"])
def test_scores_must_be_finite_numbers(score: str, tmp_path: Path) -> None:
    row = f'{{"sentence1": "a", "sentence2": "b", "label": {score}}}\n'
    assert "line 1: " in str(refused(write(tmp_path, "d.jsonl", row), STSB))


def test_rows_by_the_split_column(tmp_path: Path) -> None:
    text = "sentence,label,split\na,1,train\nb,0,dev\nc,1,Training\nd,1,test\ne,0,valid\n"
    path = write(tmp_path, "d.csv", text)
    data = load(SST2, str(path))
    assert data.train is not None
    assert data.train["text_a"][:] == ["a", "c"]
    assert data.evaluation["validation"]["index"][:] == [1, 4]
    assert data.notes[-1] == "d.csv: 1 row of split 'test' left out"


def test_test_rows_are_used_where_there_are_no_validation_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "d.csv", "sentence,label,split\na,1,train\nb,0,test\n")
    assert load(SST2, str(path)).evaluation["validation"]["text_a"][:] == ["b"]


def test_splits_by_the_task_s_own_names(tmp_path: Path) -> None:
    text = (
        "premise,hypothesis,label,split\na,b,neutral,validation_mismatched\n"
        "c,d,entailment,validation_matched\n"
    )
    evaluation = load(get_task("mnli"), str(write(tmp_path, "d.csv", text)), train=False).evaluation
    assert list(evaluation) == ["validation_matched", "validation_mismatched"]
    assert evaluation["validation_mismatched"]["label"][:] == [1]


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["train", "holdout"], "line 3: split 'holdout' is none of train, validation"),
        (["train", ""], "line 3: split '' is none of"),
        (["train", "train"], "has no rows of split 'validation'"),
        (["dev", "dev"], "has no rows of split 'train'"),
    ],
)
def test_unusable_split_columns(splits: list[str], said: str, tmp_path: Path) -> None:
    rows = "".join(f"text,1,{split}\n" for split in splits)
    path = write(tmp_path, "d.csv", "sentence,label,split\n" + rows)
    assert said in str(refused(path, train=True))


def test_a_tenth_is_held_out_by_content(tmp_path: Path) -> None:
    lines = [f"text {number % 180},{number % 180 % 2}\n" for number in range(200)]
    path = write(tmp_path, "d.csv", "sentence,label\n" + "".join(lines))
    data = load(SST2, str(path))
    assert data.train is not None
    held_out = set(data.evaluation["validation"]["text_a"])
    assert 15 <= len(data.evaluation["validation"]) <= 25
    assert len(data.train) + len(data.evaluation["validation"]) == 200
    assert not held_out & set(data.train["text_a"])
    path = write(tmp_path, "e.csv", "sentence,label\n" + "".join(reversed(lines)))
    assert set(load(SST2, str(path)).evaluation["validation"]["text_a"]) == held_out


def test_one_row_is_too_few_to_hold_out(tmp_path: Path) -> None:
    assert "too small" in str(
        refused(write(tmp_path, "d.csv", "sentence,label\na,1\n"), train=True)
    )


def test_a_task_with_its_own_files(tmp_path: Path) -> None:
    files = {
        split: write(tmp_path, f"{split}.csv", f"text,label\n{split},good\n")
        for split in ("train", "validation")
    }
    task = Task(
        name="own",
        title="own",
        type="single sentence",
        columns=("text",),
        label_names=("bad", "good"),
        metrics=("accuracy",),
        splits=(Split("validation", ""),),
        files=files,
    )
    data = load(task, "hub")
    assert data.train is not None
    assert (data.train["text_a"][:], data.train["label"][:]) == (["train"], [1])
    assert data.evaluation["validation"]["text_a"][:] == ["validation"]
    assert data.fingerprint == fingerprint(task, "hub")
    turned = {"label_names": ("good", "bad")}
    for changed in ({"columns": ("other",)}, {"label_column": "y"}, turned):
        assert fingerprint(replace(task, **changed), "hub") != data.fingerprint
    assert str(files["train"]) in data.source
    files["train"].unlink()
    with pytest.raises(InputError, match=r"train\.csv does not exist"):
        load(task, "hub")
    with pytest.raises(InputError, match="no rows of split 'train'"):
        load(task, str(tmp_path))
    files["validation"].unlink()
    with pytest.raises(InputError, match="no files named train, validation or test"):
        load(task, str(tmp_path))
    with pytest.raises(InputError, match="no generated data"):
        load(task, "generated")


def test_how_a_task_reads_its_own_files(tmp_path: Path) -> None:
    text = "text^label\r\ncaf\xe9^good\r\nodd^\r\n"
    for split in ("train", "validation"):
        write(tmp_path, f"{split}.csv", text.encode("latin-1"))
    (tmp_path / "own.toml").write_text(
        "text = 'text'\nlabels = ['bad', 'good']\nencoding = 'latin-1'\ndelimiter = '^'\n"
        "train = 'train.csv'\nvalidation = 'validation.csv'\n"
    )
    task = get_task(str(tmp_path / "own.toml"))
    with pytest.raises(InputError, match=r"train\.csv, line 3: the label is empty"):
        load(task, "hub")
    drop = Reading(drop_missing=True)
    data = load(task, "hub", reading=drop)
    assert data.train is not None
    assert data.train["text_a"][:] == data.evaluation["validation"]["text_a"][:] == ["caf\xe9"]
    assert data.notes == tuple(
        f"{split}.csv: 1 row without a label left out" for split in ("train", "validation")
    )
    # A flag wins over the task file, and what the task file says is not said of other files.
    with pytest.raises(InputError, match="not ascii"):
        load(task, "hub", reading=Reading(encoding="ascii", delimiter="^"))
    other = write(tmp_path, "other.csv", "text,label\ncaf\u00e9,good\n")
    assert validation(other, task)["text_a"][:] == ["caf\xe9"]
    read = (*task.columns, task.label_column, *task.label_names)
    plain = replace(task, reading=AS_THEY_ARE)
    assert fingerprint(plain, "hub") == hash_text(hash_files(task.files), *read)
    assert len({fingerprint(t, "hub", r) for t in (task, plain) for r in (AS_THEY_ARE, drop)}) == 4


def test_saved_splits_of_a_task_s_own(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    parts = {
        name: Dataset.from_dict({"text": [name], "label": ["good"]}) for name in ("train", "x")
    }
    DatasetDict({"train": parts["train"], "validation": parts["x"]}).save_to_disk(folder)
    task = Task(
        "own", "own", "single sentence", ("text",), ("bad", "good"), ("accuracy",), SST2.splits
    )
    whole = replace(task, files={"train": folder, "validation": folder})
    alone = replace(task, files={n: folder / n for n in ("train", "validation")})
    for named in (whole, alone):
        data = load(named, "hub")
        assert data.train is not None
        assert data.train["text_a"][:] == ["train"]
        assert data.evaluation["validation"]["text_a"][:] == ["x"]


@pytest.mark.parametrize("limit", [0, -1])
def test_limits_below_one_are_a_usage_error(limit: int) -> None:
    with pytest.raises(UsageError, match="--max-train-samples"):
        load(SST2, "generated", max_train_samples=limit)
    with pytest.raises(UsageError, match="--max-eval-samples"):
        load(SST2, "generated", max_eval_samples=limit)


def test_a_folder_with_a_file_for_each_split(tmp_path: Path) -> None:
    write(tmp_path, "Train.csv", WRITERS[".csv"](ROWS[:2]))
    write(tmp_path, "test.jsonl", WRITERS[".jsonl"](ROWS[2:]))
    write(tmp_path, "notes.csv", "nothing of ours")
    write(tmp_path, "README.md", "nor this")
    data = load(SST2, str(tmp_path))
    assert data.train is not None
    assert data.train["text_a"][:] == [text for text, _ in ROWS[:2]]
    assert data.evaluation["validation"]["text_a"][:] == ["fine"]
    assert data.notes == (
        f"{tmp_path.name}: scored on split 'test', since there is no other to score on",
    )
    before = fingerprint(SST2, str(tmp_path))
    assert before == data.fingerprint
    write(tmp_path, "dev.csv", WRITERS[".csv"](ROWS[1:2]))
    data = load(SST2, str(tmp_path))
    assert data.evaluation["validation"]["text_a"][:] == ["bad"]
    assert data.notes == (f"{tmp_path.name}: test.jsonl left out",)
    assert data.fingerprint != before
    write(tmp_path, "valid.csv", WRITERS[".csv"](ROWS[1:2]))
    said = str(refused(tmp_path))
    assert "has two files for 'validation': dev.csv, valid.csv" in said


def test_files_named_as_glue_names_them_are_read_as_glues(tmp_path: Path) -> None:
    for name in ("train.tsv", "dev.tsv", "train.csv"):
        kind = name.rpartition(".")[2]
        write(tmp_path, name, WRITERS[f".{kind}"](ROWS if kind == "csv" else [("one", 1)]))
    data = load(SST2, str(tmp_path))
    assert data.train is not None
    assert data.train["text_a"][:] == ["one"]


def test_a_task_file_without_files_is_for_data_that_is_given(tmp_path: Path) -> None:
    own = write(tmp_path, "own.toml", "text = 'sentence'\nlabels = ['negative', 'positive']\n")
    path = write(tmp_path, "data.csv", WRITERS[".csv"](ROWS))
    task = get_task(str(own))
    assert load(task, str(path), train=False).evaluation["validation"]["label"][:] == [1, 0, 1]
    with pytest.raises(InputError, match="names no data") as caught:
        load(task, "hub")
    assert caught.value.hint is not None
    assert "--data" in caught.value.hint

"""What is read of a file is counted: up to a limit, and whole where that is asked for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calling import Called, refused

from prunecli.data import delimited, jsonfile, limits, load
from prunecli.data.limits import cut
from prunecli.errors import InputError
from prunecli.records.reading import AS_THEY_ARE, Reading
from prunecli.tasks import get_task

SST2 = get_task("sst2")
LARGE = Reading(large_data=True)


def rows_of(path: Path, reading: Reading = AS_THEY_ARE) -> list[str]:
    data = load(SST2, str(path), reading=reading, train=False)
    return list(data.evaluation["validation"]["text_a"])


def written(folder: Path, ending: str, texts: list[str]) -> Path:
    path = folder / f"rows{ending}"
    rows = [{"sentence": text, "label": n % 2} for n, text in enumerate(texts)]
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "":
        from datasets import Dataset

        Dataset.from_list(rows).save_to_disk(path)
    elif ending == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif ending == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        sign = "\t" if ".tsv" in ending else ","
        text = "".join(f"{row['sentence']}{sign}{row['label']}\n" for row in rows)
        content = f"sentence{sign}label\n{text}".encode()
        path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    return path


ENDINGS = (".csv", ".tsv", ".csv.gz", ".json", ".jsonl", ".parquet", "")


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_limit_is_the_most_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    texts = [f"text {n}" for n in range(7)]
    path = written(tmp_path, ending, texts)
    for limit, exact in (("MOST_ROWS", 7), ("MOST_CELLS", 14)):
        with monkeypatch.context() as patch:
            patch.setattr(limits, limit, exact)
            assert rows_of(path) == texts
            patch.setattr(limits, limit, exact - 1)
            with pytest.raises(InputError, match=f"more than {exact - 1} ") as caught:
                rows_of(path)
            assert "--large-data" in str(caught.value.hint)
            assert rows_of(path, LARGE) == texts
    monkeypatch.setattr(limits, "MOST_BYTES", 300)  # less than seven texts take
    with pytest.raises(InputError, match="more than 300 bytes"):
        rows_of(path)
    assert rows_of(path, LARGE) == texts


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".json", ".jsonl"])
def test_a_row_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    texts = ["short", "x" * 300_000, "short again"]
    path = written(tmp_path, ending, texts)
    for module in (limits, delimited, jsonfile):
        monkeypatch.setattr(module, "MOST_IN_ROW", 100_000)
    with pytest.raises(InputError, match="more than 100,000 characters"):
        rows_of(path)
    assert rows_of(path, LARGE) == texts


def test_what_a_compressed_file_unpacks_to_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, ".csv.gz", ["x" * 100] * 400)
    monkeypatch.setattr(limits, "MOST_UNPACKED", 30_000)
    with pytest.raises(InputError, match="unpacks to more than 30,000 bytes"):
        rows_of(path)
    assert len(rows_of(path, LARGE)) == 400


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 16])
def test_an_array_is_read_the_same_in_pieces_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Wherever a piece ends: in a number, a text, an escape or between two values."""
    values: list[Any] = [
        {"sentence": 'a "quote" \\ é 😀 \u2028', "label": 1, "more": [1.5e-3, -12, None, True]},
        {"sentence": "", "label": 0, "more": {"a": {"b": []}}},
        {"sentence": "]},{[", "label": 1, "more": 123456789},
    ]
    for indent in (None, 2):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(values, indent=indent, ensure_ascii=indent is None) + " \n")
        monkeypatch.setattr(jsonfile, "_CHUNK", size)
        table = jsonfile.read_json(path, ["sentence", "label", "more"], (), AS_THEY_ARE)
        assert table.columns["sentence"] == [value["sentence"] for value in values]
        assert table.columns["more"] == [value["more"] for value in values]
        assert list(table.lines) == [1, 2, 3]


def test_large_cells_in_cells_keep_their_kind() -> None:
    assert cut([1, [2, {"a": 3}]]) == [1, [2, {"a": 3}]]
    assert cut(list(range(5_000))) == ["…"]
    assert cut({"a": [[]] * 5_000}) == {"…": "…"}
    assert cut("a" * 5_000) == "a" * 5_000


def test_the_option_reaches_the_files_and_is_kept(
    prune: Callable[..., Called], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, ".csv", [f"a good text {n}" for n in range(40)])
    monkeypatch.setattr(limits, "MOST_ROWS", 30)
    import folders

    model = folders.saved(tmp_path / "m", folders.classifier("distilbert"))
    asked = ["--from", model, "--task", "sst2", "--data", path, "--level", 0.5]
    asked += ["--labels", "negative,positive", "-w", tmp_path / "w"]
    refused(prune("prune", *asked), 3, "more than 30 rows", "--large-data")
    done = prune("prune", *asked, "--large-data", "--json")
    assert done.code == 0, done.err
    run = done.json["runs"][-1]["name"]
    again = prune("evaluate", run, "-w", tmp_path / "w")  # as it was read
    assert again.code == 0, again.err
    assert '"large_data": true' in (tmp_path / "w" / "runs" / run / "record.json").read_text()


def texts_of(data: Any, name: str) -> list[tuple[int, str, int]]:
    found = data.train if name == "train" else data.evaluation[name]
    return list(zip(found["index"], found["text_a"], found["label"], strict=True))


@pytest.mark.parametrize("ending", [*ENDINGS, ".tsv.gz"])
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "held-out"])
def test_a_few_samples_of_a_file_over_the_limit_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, train: bool
) -> None:
    texts = [f"text {n} {'é' * (n % 7)}{'x' * 50 * (n % 3)}" for n in range(200)]
    path = written(tmp_path, ending, texts)
    few = {"max_eval_samples": 6, "max_train_samples": 9, "train": train}
    whole = load(SST2, str(path), reading=LARGE, **few)
    monkeypatch.setattr(limits, "MOST_BYTES", 20_000)
    monkeypatch.setattr("prunecli.data.batchwise.MOST_BYTES", 20_000)
    with pytest.raises(InputError, match="more than 20,000 bytes"):
        rows_of(path)
    found = load(SST2, str(path), **few)
    for name in ("validation", *(["train"] if train else [])):
        assert texts_of(found, name) == texts_of(whole, name)
        assert all(text == texts[row] for row, text, _ in texts_of(found, name))
    assert (found.notes, found.fingerprint) == (whole.notes, whole.fingerprint)
    monkeypatch.setattr(limits, "MOST_ROWS", 199)
    with pytest.raises(InputError, match="more than 199 rows") as caught:
        load(SST2, str(path), **few)
    assert "also for a few samples" in str(caught.value.hint)


def test_a_few_samples_of_glue_with_rows_torn_and_of_a_file_with_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qqp = get_task("qqp")
    rows = [f"{n}\t{n}\t{n}\tquestion {n}\tother {n} {'y' * 90}\t{n % 2}\n" for n in range(60)]
    rows[5] = "5\t5\t5\ttorn\napart\tother\t1\n"
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / name).write_text(head + "".join(rows))
    split = ["train", "validation", "test"]
    table = [
        json.dumps(
            {"sentence": f"s {n}" + "\ud800" * (n == 4), "label": n % 2, "split": split[n % 3]}
        )
        for n in range(90)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(table))
    few = {"max_eval_samples": 12, "max_train_samples": 8}
    for task, place in ((qqp, tmp_path), (SST2, tmp_path / "rows.jsonl")):
        whole = load(task, str(place), reading=LARGE, **few)
        with monkeypatch.context() as patch:
            patch.setattr(limits, "MOST_BYTES", 9_000)
            found = load(task, str(place), **few)
        for name in ("train", "validation"):
            assert texts_of(found, name) == texts_of(whole, name)
            assert all(text for _, text, _ in texts_of(found, name))
        assert found.notes == whole.notes


def test_all_that_is_read_must_be_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, ".csv", ["some text"] * 40)
    monkeypatch.setattr(limits, "MOST_BYTES", 3_000)
    assert len(load(SST2, str(path), train=False, max_eval_samples=3).evaluation["validation"]) == 3
    for few in ({"max_eval_samples": 3}, {"max_train_samples": 3}):
        with pytest.raises(InputError, match="more than 3,000 bytes"):
            load(SST2, str(path), **few)

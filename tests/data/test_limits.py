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

"""Every parser, given what it cannot use: the exit code of its kind, and one line that names it."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folders
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from packed.making import packed
from safetensors.torch import save_file

from prunecli.data import load
from prunecli.errors import PruneError, as_told
from prunecli.models.loading import check_labels, load_any_classifier
from prunecli.packed.folder import unpack
from prunecli.packed.source import Weights
from prunecli.records.runs import RunRecord
from prunecli.settings.loading import load_settings
from prunecli.settings.recipes import load_recipe
from prunecli.store.folders import RECORD, read_record
from prunecli.store.masks import load_mask
from prunecli.store.unread import Unread
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task
from prunecli.text.terminal import visible

SST2 = get_task("sst2")
DEEP = 100_000
LONG = "9" * 5_000

# Bytes that are wrong in any format of text.
ANY: dict[str, bytes] = {
    "zeros": bytes(64),
    "no UTF-8": b"\xff\xfe\xfd\xfc" * 4,
    "half of a character": b'{"a": "\xc3',
    "a gzip file": b"\x1f\x8b\x08\x00" + bytes(20),
}
JSON: dict[str, bytes] = {
    **ANY,
    "empty": b"",
    "blank": b" \n\n",
    "cut": b'{"format": 1, "name": "x',
    "nested lists": b"[" * DEEP,
    "nested objects": b'{"a":' * DEEP,
    "a long number": f'{{"format": {LONG}}}'.encode(),
    "a number": b"1",
    "a text": b'"text"',
    "null": b"null",
    "a list": b"[1, 2]",
    "an empty object": b"{}",
    "half an emoji": b'{"format": 1, "model_type": "\\ud83d", "name": "\\ud83d"}',
    "not a number": b'{"format": NaN, "model_type": NaN, "name": Infinity}',
    "two documents": b"{}{}",
    "a comment": b"{} // nothing",
}
TOML: dict[str, bytes] = {
    **ANY,
    "cut": b"epochs = [1,",
    "nested lists": b"a = " + b"[" * DEEP,
    "nested tables": b"a = " + b"{a=" * DEEP,
    "a long number": f"epochs = {LONG}".encode(),
    "half an emoji": b'title = "\\ud83d"',
    "twice": b"epochs = 1\nepochs = 2\n",
    "no value": b"epochs\n",
    "an unknown key": b'colour = "red"\n',
    "a key of control characters": b'"\\u001b[2J" = 1\n',
    "a table": b"[epochs]\nx = 1\n",
    "a date": b"epochs = 2020-01-01\n",
}
ROWS: dict[str, tuple[str, bytes]] = {
    "csv, empty": ("a.csv", b""),
    "csv, zeros": ("a.csv", bytes(64)),
    "csv, a header alone": ("a.csv", b"sentence,label\n"),
    "csv, no such column": ("a.csv", b"text,label\na,1\n"),
    "csv, the column twice": ("a.csv", b"sentence,sentence,label\na,b,1\n"),
    "csv, an open quote": ("a.csv", b'sentence,label\n"a,1\n'),
    "csv, a stray quote": ("a.csv", b'sentence,label\n"a"b,1\n'),
    "csv, too few fields": ("a.csv", b"sentence,label\na\n"),
    "csv, too many fields": ("a.csv", b"sentence,label\na,1,2\n"),
    "csv, another label": ("a.csv", b"sentence,label\na,7\n"),
    "csv, a long label": ("a.csv", b"sentence,label\na," + LONG.encode() + b"\n"),
    "csv, no label": ("a.csv", b"sentence,label\na,\n"),
    "csv, no UTF-8": ("a.csv", b"sentence,label\n\xff\xfe,1\n"),
    "csv, blank lines": ("a.csv", b"\n\n\n"),
    "csv, another split": ("a.csv", b"sentence,label,split\na,1,elsewhere\n"),
    "tsv, a torn row": ("a.tsv", b"sentence\tlabel\na\nb\t1\n"),
    "tsv, empty": ("a.tsv", b""),
    "jsonl, empty": ("a.jsonl", b""),
    "jsonl, cut": ("a.jsonl", b'{"sentence": "a", "label": 1}\n{"sentence"'),
    "jsonl, nested": ("a.jsonl", b"[" * DEEP),
    "jsonl, a long number": ("a.jsonl", f'{{"sentence": "a", "label": {LONG}}}'.encode()),
    "jsonl, a list": ("a.jsonl", b"[1]\n"),
    "jsonl, no key": ("a.jsonl", b'{"sentence": "a"}\n'),
    "jsonl, a list of labels": ("a.jsonl", b'{"sentence": "a", "label": [0, 1]}\n'),
    "jsonl, an object for a text": ("a.jsonl", b'{"sentence": {"a": 1}, "label": 1}\n'),
    "jsonl, null for a text": ("a.jsonl", b'{"sentence": null, "label": 1}\n'),
    "jsonl, half an emoji as label": ("a.jsonl", b'{"sentence": "a", "label": "\\ud83d"}\n'),
    "jsonl, half an emoji as key": ("a.jsonl", b'{"\\ud83d": "a", "label": 1}\n'),
    "jsonl, not a number": ("a.jsonl", b'{"sentence": "a", "label": NaN}\n'),
    "json, cut": ("a.json", b'[{"sentence": "a", "label": 1}, '),
    "json, nested": ("a.json", b"[" * DEEP),
    "json, more": ("a.json", b'[{"sentence": "a", "label": 1}] x'),
    "json, no comma": ("a.json", b'[{"sentence": "a", "label": 1} {"a": 1}]'),
    "json, an empty list": ("a.json", b"[]"),
    "json, numbers": ("a.json", b"[1, 2, 3]"),
    "gz, not one": ("a.csv.gz", b"sentence,label\na,1\n"),
    "gz, cut": ("a.csv.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x4b"),
    "zst, not one": ("a.csv.zst", b"sentence,label\na,1\n"),
    "parquet, empty": ("a.parquet", b""),
    "parquet, not one": ("a.parquet", b"sentence,label\na,1\n"),
    "parquet, its ends alone": ("a.parquet", b"PAR1" + bytes(8) + b"PAR1"),
    "parquet, a huge footer": ("a.parquet", b"PAR1" + struct.pack("<I", 1 << 31) + b"PAR1"),
    "another ending": ("a.xlsx", b"PK\x03\x04"),
}


def header(entries: Any, content: bytes = b"") -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + content


def entry(shape: Any, offsets: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


# Files that are no whole safetensors file, whatever they are to hold.
TENSORS: dict[str, bytes] = {
    **ANY,
    "empty": b"",
    "a length alone": struct.pack("<Q", 8),
    "a length beyond the file": struct.pack("<Q", 1 << 60) + b"{}",
    "nested": header(b"[" * DEEP),
    "a long number": header(f'{{"x": {LONG}}}'.encode()),
    "a list": header([]),
    "a side below zero": header({"x": entry([-1], [0, 4])}, bytes(4)),
    "a side too many": header({"x": entry([2], [0, 4])}, bytes(4)),
    "an enormous shape": header({"x": entry([1 << 62, 1 << 62], [0, 4])}, bytes(4)),
    "offsets beyond the file": header({"x": entry([1 << 40], [0, 1 << 42])}),
    "offsets turned round": header({"x": entry([1], [4, 0])}, bytes(4)),
    "an unknown type": header({"x": entry([1], [0, 4], "X9")}, bytes(4)),
    "bytes behind": header({"x": entry([1], [0, 4])}, bytes(400)),
    "cut": header({"x": entry([100], [0, 400])}, bytes(17)),
}
INDEX: dict[str, bytes] = {
    **{name: content for name, content in JSON.items() if name != "half an emoji"},
    "no such file": b'{"weight_map": {"a": "none.safetensors"}}',
    "a file elsewhere": b'{"weight_map": {"a": "../model.safetensors"}}',
    "a map that is a list": b'{"weight_map": ["a"]}',
}


def told(read: Callable[[], object]) -> PruneError:
    """What the command that reads it would say, and its exit code."""
    try:
        read()
    except Exception as error:
        return as_told(error)
    pytest.fail("it was read")


def check(error: PruneError, codes: set[int], said: str) -> None:
    assert error.exit_code in codes, (error.exit_code, str(error)[:300], error.trace[-1500:])
    line = visible(" ".join(str(error).split()))
    assert said in line, line
    assert 0 < len(line) < 700
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", line)


@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_records(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / RECORD
    path.write_bytes(content)
    check(told(lambda: read_record(path, RunRecord)), {3, 4}, str(path))


@pytest.mark.parametrize("content", TOML.values(), ids=TOML)
def test_recipes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    check(told(lambda: load_recipe(str(path))), {2, 3}, str(path))


@pytest.mark.parametrize("content", TOML.values(), ids=TOML)
def test_settings(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    check(told(lambda: load_settings({}, path)), {2, 3}, str(path))


@pytest.mark.parametrize("content", TOML.values(), ids=TOML)
def test_task_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.toml"
    path.write_bytes(content)
    check(told(lambda: get_task(str(path))), {2, 3}, str(path))


@pytest.mark.parametrize(("name", "content"), ROWS.values(), ids=ROWS)
def test_data(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    check(told(lambda: load(SST2, str(path), train=False)), {3}, str(path))


@pytest.mark.parametrize("cells", ["dates", "bytes", "lists", "structs", "nulls", "numbers"])
def test_parquet_of_other_types(tmp_path: Path, cells: str) -> None:
    texts: Any = {
        "dates": pa.array([0, 1], pa.date32()),
        "bytes": pa.array([b"\xff", b"a"]),
        "lists": [["a"], ["b"]],
        "structs": [{"a": 1}, {"a": 2}],
        "nulls": pa.nulls(2),
        "numbers": [1.5, 2.5],
    }[cells]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"sentence": texts, "label": [0, 1]}), path)
    check(told(lambda: load(SST2, str(path), train=False)), {3}, str(path))


@pytest.mark.parametrize("content", TENSORS.values(), ids=TENSORS)
def test_masks(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mask.safetensors"
    path.write_bytes(content)
    check(told(lambda: load_mask(path)), {4}, "mask")


@pytest.mark.parametrize(
    "shapes", ["", "[]", "{", "[" * DEEP, LONG, '{"x": [-1]}', '{"x": [1e3]}', '{"x": 1}', "null"]
)
def test_masks_of_impossible_shapes(tmp_path: Path, shapes: str) -> None:
    path = tmp_path / "mask.safetensors"
    bits = {"x": torch.zeros(1, dtype=torch.uint8)}
    save_file(bits, path, metadata={"format": "prunecli-mask-1", "shapes": shapes})
    check(told(lambda: load_mask(path)), {4}, "mask is corrupt")


@pytest.mark.parametrize("content", TENSORS.values(), ids=TENSORS)
def test_packed_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(content)
    check(told(lambda: unpack(path, tmp_path / "out")), {3, 4}, str(path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", range(12))
def test_packed_files_with_a_flipped_bit(tmp_path: Path, place: int) -> None:
    path, _ = packed(tmp_path / "p", {"x": torch.arange(64.0).reshape(8, 8)})
    content = bytearray(path.read_bytes())
    content[place * len(content) // 12] ^= 1 << place % 8
    path.write_bytes(content)
    check(told(lambda: unpack(path, tmp_path / "out")), {3, 4}, str(path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", INDEX.values(), ids=INDEX)
def test_shard_indices(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.safetensors.index.json").write_bytes(content)
    check(told(lambda: Weights(folder)), {3, 4}, str(folder))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.saved(tmp_path_factory.mktemp("good"), folders.classifier("distilbert"))


@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_configurations(tmp_path: Path, good: Path, content: bytes) -> None:
    folder = shutil.copytree(good, tmp_path / "m")
    (folder / "config.json").write_bytes(content)
    check(told(lambda: check_labels(str(folder), SST2)), {3}, str(folder))


CLAIMS: dict[str, dict[str, Any]] = {
    "labels": {"num_labels": 10**9},
    "labels below zero": {"num_labels": -5},
    "labels of a text": {"num_labels": "many"},
    "labels by a list": {"id2label": ["a", "b"]},
    "layers": {"n_layers": 10**9},
    "layers below zero": {"n_layers": -1},
    "layers of a text": {"n_layers": "six"},
    "a width of nothing": {"dim": 0},
    "a width that heads don't divide": {"dim": 17},
    "words": {"vocab_size": 10**12},
    "words below zero": {"vocab_size": -3},
    "places": {"max_position_embeddings": 10**10},
    "an unknown kind": {"model_type": "none-such"},
    "a kind that is a list": {"model_type": ["distilbert"]},
    "an activation": {"activation": "none-such"},
    "code of its own": {"model_type": "x", "auto_map": {"AutoConfig": "x.C"}},
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_configurations_that_claim(tmp_path: Path, good: Path, claim: dict[str, Any]) -> None:
    folder = shutil.copytree(good, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **claim}))
    check(told(lambda: load_any_classifier(str(folder))), {3}, str(folder))


@pytest.mark.parametrize("content", TENSORS.values(), ids=TENSORS)
def test_weights(tmp_path: Path, good: Path, content: bytes) -> None:
    folder = shutil.copytree(good, tmp_path / "m")
    (folder / "model.safetensors").write_bytes(content)
    check(told(lambda: load_any_classifier(str(folder))), {3}, str(folder))


@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_tokenizers(tmp_path: Path, good: Path, content: bytes) -> None:
    from prunecli.models.loading import load_tokenizer

    folder = shutil.copytree(good, tmp_path / "m")
    (folder / "tokenizer.json").write_bytes(content)
    check(told(lambda: load_tokenizer(str(folder))), {3}, str(folder))


def test_what_lies_about_in_a_workspace_stops_no_list(tmp_path: Path) -> None:
    """Each record that is any of these is passed over in one line."""
    workspace = Workspace(tmp_path / "w").prepare()
    for number, content in enumerate(JSON.values()):
        folder = workspace.runs_dir / f"run{number}"
        folder.mkdir()
        (folder / RECORD).write_bytes(content)
    lost: list[Unread] = []
    assert workspace.readable_runs(lost.append) == []
    assert [one.name for one in lost] == workspace.names()
    assert not any("\n" in str(one) for one in lost)
    assert set(workspace.unreadable()) == {f"run{number}" for number in range(len(JSON))}


def test_there_are_many() -> None:
    tables: list[dict[str, Any]] = [JSON, TOML, ROWS, TENSORS, INDEX, CLAIMS]
    contents = {str(content) for table in tables for content in table.values()}
    assert len(contents) >= 100

"""No input takes the machine: bounds come before memory. Each command has a process of its own."""

from __future__ import annotations

import gzip
import json
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

from hostile.measured import Ended, ended

_MOST = 500
"""MiB above an ordinary evaluation of the same kind."""
_LONG = "a" * 1_000_000
PASSES = "scored"
"""Of which ten examples can be read in bounds, and are."""
Made = Callable[[], Path]


def _unpacking(path: Path, head: bytes, piece: bytes, times: int) -> Path:
    with gzip.open(path, "wb", 1) as file:
        file.write(head)
        for _ in range(times):
            file.write(piece)
    return path


def _parquet(path: Path, text: Any, label: Any, **how: Any) -> Path:
    pq.write_table(pa.table({"sentence": text, "label": label}), path, compression="zstd", **how)
    return path


def _saved(folder: Path) -> Path:
    from datasets import Dataset

    rows = 1_500_000
    Dataset(pa.table({"sentence": pa.nulls(rows), "label": pa.nulls(rows)})).save_to_disk(folder)
    return folder


def _varint(number: int) -> bytes:
    """As Thrift writes a whole number that is not below zero."""
    number, found = 2 * number, bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _lying(folder: Path) -> Path:
    """A Parquet file whose footer says that its texts unpack to 63 bytes."""
    path = _parquet(folder / "lying.parquet", [_LONG] * 250, [0] * 250, use_dictionary=False)
    chunk = pq.read_metadata(path).row_group(0).column(0)
    true = _varint(chunk.total_uncompressed_size)
    # the same number of bytes, the last of them with nothing in it
    false = bytes([126 | 128, *([128] * (len(true) - 2)), 0])
    content = path.read_bytes()
    assert content.count(true) == 1
    path.write_bytes(content.replace(true, false))
    assert pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size == 63
    return path


def _compressed(folder: Path) -> Path:
    """A saved data set whose one batch unpacks to 250 MB."""
    from datasets import Dataset

    table = pa.table({"sentence": [_LONG] * 250, "label": [0] * 250})
    Dataset(table.slice(0, 1)).save_to_disk(folder)
    (path,) = folder.glob("*.arrow")
    how = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.open_stream(path) as before, pa.OSFile(str(path) + ".new", "wb") as sink:
        schema = before.schema
        with pa.ipc.new_stream(sink, schema, options=how) as writer:
            writer.write_table(table.cast(schema))
    Path(f"{path}.new").replace(path)
    return folder


def _data(folder: Path) -> dict[str, tuple[Made, str]]:
    """How to make files of data that unfold to too much, and what is said of each."""
    head = b"sentence,label\n"
    rows, row = "more than 1,000,000 rows", "a row of more than 4,000,000 characters"
    text = "more than 200,000,000 bytes"

    def unpacking(name: str, head: bytes, piece: bytes, times: int) -> Made:
        return lambda: _unpacking(folder / name, head, piece, times)

    def parquet(name: str, text: Any, label: Any, **how: Any) -> Made:
        return lambda: _parquet(folder / name, text, label, **how)

    return {
        "one text many times": (parquet("same.parquet", [_LONG] * 400, [0, 1] * 200), PASSES),
        "long texts": (
            parquet("b.parquet", [_LONG] * 250, [0] * 250, use_dictionary=False),
            text,
        ),
        "a footer that lies": (lambda: _lying(folder), text),
        "a compressed stream": (lambda: _compressed(folder / "stream"), "is compressed"),
        "many rows": (parquet("rows.parquet", [""] * 1_500_000, [0] * 1_500_000), rows),
        "a long list": (
            parquet("list.parquet", ["a"] * 3, [[0] * 2_000_000] * 3),
            "more than 5,000,000 values",
        ),
        "nothing, many times": (lambda: _saved(folder / "saved"), rows),
        "an endless line": (unpacking("l.csv.gz", head, b"a" * 4_000_000, 40), row),
        "an endless row": (unpacking("m.csv.gz", head, b'"x\n",' * 500_000, 40), row),
        "short rows": (unpacking("r.csv.gz", head, b"abcde,1\n" * 50_000, 25), rows),
        "long rows": (
            unpacking("t.tsv.gz", b"sentence\tlabel\n", b"a" * 1_000_000 + b"\t1\n", 250),
            PASSES,
        ),
        "an endless value": (
            unpacking("v.json.gz", b"[[{}", b",{}" * 500_000, 30),
            "a value of more than 4,000,000 characters",
        ),
        "values in values": (
            unpacking(
                "n.jsonl.gz",
                b"",
                b'{"sentence": "a", "label": [' + b"{}," * 300_000 + b"{}]}\n",
                10,
            ),
            "is a list",
        ),
    }


def _with(good: Path, folder: Path, **changed: Any) -> Path:
    """A copy of a model folder with other values in its configuration."""
    shutil.copytree(good, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changed}))
    return folder


def _sparse(folder: Path, good: Path) -> Path:
    """A model whose weight file claims more than its bytes are."""
    shutil.copytree(good, folder)
    entry = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}
    header = json.dumps({"x": entry}).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(4)
    (folder / "model.safetensors").write_bytes(content)
    return folder


def _named(good: Path, folder: Path) -> Path:
    """A packed file with a name for each of very many labels."""
    labels = 200_000
    config = json.loads((good / "config.json").read_text())
    zeros = {"classifier.weight": torch.zeros(labels, 1, dtype=torch.float16)}
    names = ",".join(f'"{i}":""' for i in range(labels)).encode()
    many = (
        json.dumps({**config, "id2label": 0})
        .encode()
        .replace(b'"id2label": 0', b'"id2label":{' + names + b"}")
    )
    return packed(folder, zeros, files={"config.json": many, "vocab.txt": b"a\n"})[0]


def _wordy(good: Path, folder: Path) -> Path:
    shutil.copytree(good, folder)
    words = json.loads((good / "tokenizer.json").read_text())
    words["model"]["vocab"] |= {f"{i:012}": 100 + i for i in range(500_000)}
    (folder / "tokenizer.json").write_text(json.dumps(words))
    return folder


def _models(folder: Path, good: Path) -> dict[str, tuple[Made, str]]:
    """How to make models that claim too much in their files, and what is said of each."""

    def claiming(name: str, **changed: Any) -> Made:
        return lambda: _with(good, folder / name, **changed)

    return {
        "labels": (claiming("labels", num_labels=10**9, id2label=None), "labels"),
        "labels by name": (lambda: _named(good, folder / "packed"), "labels"),
        "layers": (claiming("layers", n_layers=100_000), "'n_layers'"),
        "fewer layers": (claiming("fewer", n_layers=900), "parameters"),
        "words": (claiming("words", vocab_size=10**9), "parameters"),
        "places": (
            claiming("places", max_position_embeddings=10**9, sinusoidal_pos_embds=True),
            "parameters",
        ),
        "width": (claiming("width", hidden_dim=10**9), "parameters"),
        "depth": (lambda: _deep(good, folder / "deep"), "nested too deeply"),
        "tensors": (lambda: _sparse(folder / "sparse", good), "no whole safetensors file"),
        "vocabulary": (lambda: _wordy(good, folder / "wordy"), "bytes"),
    }


def _deep(good: Path, folder: Path) -> Path:
    shutil.copytree(good, folder)
    (folder / "config.json").write_text('{"model_type": ' + "[" * 1_000_000)
    return folder


FEW = {"one text many times", "a footer that lies", "a compressed stream", "an endless line"}
FEW |= {"values in values", "labels", "labels by name", "layers", "words", "tensors"}
"""One for each way in which an input is read; the others take as long again and more."""


@pytest.fixture(scope="module", params=["few", pytest.param("all", marks=pytest.mark.slow)])
def found(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, tuple[Ended, str]]:
    """How an evaluation with each hostile input ended; ``""`` is one with none."""
    folder = tmp_path_factory.mktemp("hostile")
    good = folders.saved(folder / "good", folders.classifier("distilbert"))
    rows = folder / "good.csv"
    rows.write_text(folders.rows(20))
    data, models = _data(folder), _models(folder, good)
    said = {"": ""} | {name: said for name, (_, said) in (data | models).items()}
    assert said.keys() > FEW
    if request.param == "few":
        said = {name: line for name, line in said.items() if name in ("", *FEW)}
    commands = [
        [
            *("evaluate", models[name][0]() if name in models else good, "--task", "sst2"),
            *("--data", data[name][0]() if name in data else rows, "--max-eval-samples", "10"),
            *("--labels", "negative,positive", "-w", folder / "workspace"),
        ]
        for name in said
    ]
    ends = ended(commands)
    return {name: (end, line) for end, (name, line) in zip(ends, said.items(), strict=True)}


def test_hostile_inputs_take_no_memory(found: dict[str, tuple[Ended, str]]) -> None:
    usual, _ = found[""]
    assert usual.code == 0, usual.err
    others = {name: one for name, one in found.items() if name}
    over = {name: end.peak - usual.peak for name, (end, _) in others.items()}
    assert not {name: more for name, more in over.items() if more > _MOST}


def test_each_is_refused_in_one_line_that_says_what(found: dict[str, tuple[Ended, str]]) -> None:
    for name, (end, said) in found.items():
        if said == PASSES:
            assert end.code == 0, (name, end.err)
        elif name:
            assert end.code in (3, 4), (name, end)
            told = [line for line in end.err.splitlines() if line.startswith("prune: ")]
            assert len(told) == 1, (name, end.err)
            assert said in told[0], (name, end.err)

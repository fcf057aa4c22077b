"""What the pages of a Parquet file say that they unpack to, against what its writer counted."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunecli.data import load
from prunecli.data.pages import is_compressed_stream, page_bytes
from prunecli.tasks import get_task

KINDS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "gzip": {"compression": "gzip"},
    "plain": {"compression": "none", "use_dictionary": False},
    "version 2": {"data_page_version": "2.0"},
    "small pages": {"use_dictionary": False, "data_page_size": 1_000},
    "small groups": {"row_group_size": 777},
    "indexed": {"write_page_index": True, "write_page_checksum": True},
    "no statistics": {"write_statistics": False},
}


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
def test_pages_of_honest_files(tmp_path: Path, how: dict[str, Any]) -> None:
    drawn = random.Random(0)
    texts = ["".join(drawn.choices("abc é", k=drawn.randint(0, 200))) for _ in range(3_000)]
    rows = {"sentence": texts, "label": [n % 2 for n in range(len(texts))]}
    rows["tags"] = [["a"] * (n % 3) for n in range(len(texts))]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(rows), path, **how)
    about = pq.read_metadata(path)
    pages = 0
    with path.open("rb") as stream:
        for group in range(about.num_row_groups):
            for column in range(about.num_columns):
                chunk = about.row_group(group).column(column)
                start = chunk.data_page_offset
                if chunk.has_dictionary_page:
                    start = min(start, chunk.dictionary_page_offset)
                sizes = list(page_bytes(stream, start, chunk.total_compressed_size))
                # the writer counts the headers, too, which are some tens of bytes each
                headers = chunk.total_uncompressed_size - sum(sizes)
                assert 10 * len(sizes) <= headers <= 1_000 * len(sizes)
                pages += len(sizes)
    assert pages >= 3 * about.num_row_groups
    data = load(get_task("sst2"), str(path), train=False)
    assert list(data.evaluation["validation"]["text_a"]) == texts


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x15" * 100, b"\x1c" * 100, bytes(9)])
def test_pages_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with path.open("rb") as stream, pytest.raises(ValueError, match=r"cut|no size|deep|kind|long"):
        list(page_bytes(stream, 0, 100))


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_streams(tmp_path: Path, compression: str | None) -> None:
    path, table = tmp_path / "a.arrow", pa.table({"x": ["a"] * 10, "y": [[1]] * 10})
    how = pa.ipc.IpcWriteOptions(compression=compression)
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema, options=how) as writer,
    ):
        writer.write_table(table, max_chunksize=3)
    assert is_compressed_stream(path) == (compression is not None)


def _page(text: bytes, unpacked: int, packed: int) -> bytes:
    """A page of version 1 whose statistics hold ``text``, in Thrift's compact protocol."""

    def varint(number: int) -> bytes:
        found = bytearray()
        while number > 127:
            found.append(number & 127 | 128)
            number >>= 7
        return bytes([*found, number])

    statistics = b"\x18" + varint(len(text)) + text + b"\0"
    data = b"\x15\x02" + b"\x15\0" + b"\x15\x06" + b"\x15\x06" + b"\x1c" + statistics + b"\0"
    sizes = b"\x15" + varint(2 * unpacked) + b"\x15" + varint(2 * packed)
    return b"\x15\0" + sizes + b"\x2c" + data + b"\0" + bytes(packed)


@pytest.mark.parametrize("length", [0, 100, 1 << 16, 1 << 20])
def test_a_header_may_hold_a_long_text(length: int) -> None:
    content = _page(b"a" * length, 77, 5) + _page(b"b", 12, 3)
    assert list(page_bytes(io.BytesIO(content), 0, len(content))) == [77, 12]
    with pytest.raises(ValueError, match="cut short"):
        list(page_bytes(io.BytesIO(content[:9]), 0, len(content)))

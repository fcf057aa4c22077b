"""Columns of Arrow a batch at a time: how much a batch unfolds to is known before it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from prunecli.data.limits import MOST_BYTES, MOST_CELLS, Budget, too_much
from prunecli.data.pages import page_bytes
from prunecli.data.sampling import current_sample

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_ROWS: Final = 4096
"""Of a batch."""
_FEWER: Final = 64
"""Where only a sample is kept, which may be of rows that are large."""


def _rows() -> int:
    return _FEWER if current_sample() is not None else _ROWS


def parquet_batches(
    path: Path, schema: pa.Schema, names: Sequence[str], *, lifted: bool
) -> Iterator[pa.RecordBatch]:
    """The batches of a Parquet file, texts as they are stored: each once in a dictionary.

    Raises `InputError` where the file says of itself that it is over the limits.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [
        name
        for name in names
        if pa.types.is_string(schema.field(name).type)
        or pa.types.is_large_string(schema.field(name).type)
    ]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        if not lifted:
            _check(path, file.metadata, names)
        yield from file.iter_batches(_rows(), columns=list(names), use_threads=False)


def _check(path: Path, about: Any, names: Sequence[str]) -> None:
    Budget(path).check(about.num_rows, about.num_rows * len(names))
    groups = [list(_chunks(about.row_group(group), names)) for group in range(about.num_row_groups)]
    if sum(max(chunk.num_values, 0) for chunks in groups for chunk in chunks) > MOST_CELLS:
        raise too_much(path, f"unpacks to more than {MOST_CELLS:,} values")
    with path.open("rb") as stream:
        size = 0
        for chunks in groups:
            if current_sample() is not None:
                size = 0  # one group after the other is read, and only a few texts of it are kept
            for unpacked in chain.from_iterable(_pages(stream, chunk) for chunk in chunks):
                size += unpacked
                if size > MOST_BYTES:
                    raise too_much(path, f"unpacks to more than {MOST_BYTES:,} bytes")


def _pages(stream: BinaryIO, chunk: Any) -> Iterator[int]:
    """Bytes that each page of a chunk unpacks to, its dictionary's too."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page:
        start = min(start, chunk.dictionary_page_offset)
    return page_bytes(stream, start, chunk.total_compressed_size)


def _chunks(group: Any, names: Sequence[str]) -> Iterator[Any]:
    """The chunks of these columns and of what is nested in them in one group of rows."""
    for place in range(group.num_columns):
        chunk = group.column(place)
        if chunk.path_in_schema.partition(".")[0] in names or chunk.path_in_schema in names:
            yield chunk


def saved_batches(data: Dataset, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The batches of a saved data set, in the order of its rows."""
    for table in data.select_columns(list(names)).with_format("arrow").iter(_rows()):
        yield from table.combine_chunks().to_batches()


def unfolded_bytes(batch: pa.RecordBatch) -> int:
    """Bytes of the batch with each cell by itself, found without making them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 0
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            sizes = pc.binary_length(column.dictionary)
            total += pc.sum(sizes.cast(pa.int64()).take(column.indices)).as_py() or 0
        else:
            total += column.nbytes
    return total


def unfolded(column: pa.Array) -> pa.Array:
    """``column`` with each cell by itself, where it was a dictionary."""
    import pyarrow as pa

    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column

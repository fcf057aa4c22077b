"""Texts to token ids, once: the result is kept on disk under a hash of everything it depends on."""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.files import hash_file, hash_text

if TYPE_CHECKING:
    from datasets import Dataset

FORMAT = 1
"""Part of the cache key; raised whenever the columns or their meaning change."""

ROWS = 10_000
"""Texts handed to the tokenizer at a time: enough to keep its threads busy, little in memory."""

_DATA, _CHECKSUM = "data.arrow", "data.arrow.sha256"
_THERE = (errno.EEXIST, errno.ENOTEMPTY)
"""What a system says where a folder is to take the name of one that holds files."""


def tokenise(
    dataset: Dataset, tokenizer: Any, *, max_length: int, cache_dir: Path | None, key: str
) -> Dataset:
    """Token ids of every example, in order.

    Columns: ``input_ids`` and, for tokenizers whose models take them, ``token_type_ids`` (lists,
    at most ``max_length`` long, the longer text of a pair cut first), ``labels``, ``length`` and
    ``index``.

    With a ``cache_dir`` the result is written once, to a folder there named by a hash of ``key``,
    the examples, the tokenizer and ``max_length``, and memory-mapped afterwards. Two processes may
    do so at the same time, and a damaged entry is made again.
    Raises `InputError` where the cache cannot be written.
    """
    if cache_dir is None:
        return _from_table(_encode(dataset, tokenizer, max_length))
    name = hash_text(FORMAT, key, _content(dataset), max_length, *_identity(tokenizer))
    folder = cache_dir / name
    cached = _read(folder)
    if cached is not None:
        return cached
    table = _encode(dataset, tokenizer, max_length)
    try:
        _write(table, folder)
    except OSError as error:
        raise InputError(
            f"cannot write the tokenised examples to {cache_dir}: {error.strerror or error}",
            hint="choose another workspace with -w, or free some space",
        ) from None
    return _read(folder) or _from_table(table)


def _encode(dataset: Dataset, tokenizer: Any, max_length: int) -> Any:
    """The Arrow table of tokenised examples."""
    import pyarrow as pa

    with_types = "token_type_ids" in tokenizer.model_input_names
    names = ["input_ids", "token_type_ids"] if with_types else ["input_ids"]
    source = dataset.with_format(None)
    text_columns = [name for name in ("text_a", "text_b") if name in source.column_names]
    chunks: dict[str, list[Any]] = {name: [] for name in (*names, "length", "labels", "index")}
    for start in range(0, len(source), ROWS):
        part = source[start : start + ROWS]
        with _as_it_was(tokenizer):
            encoded = tokenizer(
                *(part[name] for name in text_columns),
                truncation="longest_first" if len(text_columns) == 2 else True,
                max_length=max_length,
                return_attention_mask=False,
                return_token_type_ids=with_types,
                verbose=False,
            )
        longest = max(map(len, encoded["input_ids"]), default=0)
        if longest > max_length:
            raise InputError(
                f"the tokenizer gives {longest:,} tokens where {max_length:,} were asked for",
                hint="take the tokenizer that the model was trained with",
            )
        for name in names:
            chunks[name].append(pa.array(encoded[name], pa.list_(pa.int32())))
        chunks["length"].append(pa.array(map(len, encoded["input_ids"]), pa.int32()))
        for name, column, value_type in (
            ("labels", "label", source.features["label"].pa_type),
            ("index", "index", pa.int64()),
        ):
            chunks[name].append(pa.array(part[column], value_type))
    return pa.table({name: pa.chunked_array(arrays) for name, arrays in chunks.items()})


@contextmanager
def _as_it_was(tokenizer: Any) -> Iterator[None]:
    """Take back what a call leaves in a fast tokenizer: how it truncates and pads.

    Else what is saved of it depended on whether the examples were in the cache.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        yield
        return
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        backend.no_truncation()
        backend.no_padding()
        if truncation is not None:
            backend.enable_truncation(**truncation)
        if padding is not None:
            backend.enable_padding(**padding)


def _content(dataset: Dataset) -> str:
    """A hash of every text, label and index, so that no wrong ``key`` can fetch other examples."""
    digest = hashlib.sha256()
    source = dataset.with_format(None)
    for start in range(0, len(source), ROWS):
        part = source[start : start + ROWS]
        digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()


def _identity(tokenizer: Any) -> tuple[str, ...]:
    """What decides a fast tokenizer's output: its pipeline and vocabulary, and the type ids."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(
            f"{type(tokenizer).__name__} is not a fast tokenizer",
            hint="use a model folder that has a tokenizer.json",
        )
    # Truncation and padding are set on the backend by whoever called it last; the call above
    # overrides both, so they must not reach the key.
    content = json.loads(backend.to_str())
    content["truncation"] = content["padding"] = None
    return json.dumps(content, sort_keys=True), *tokenizer.model_input_names


def _from_table(table: Any) -> Dataset:
    from datasets import Dataset

    return Dataset(table)


def _write(table: Any, folder: Path) -> None:
    """Write to a new folder beside the final one and rename it; a lost race is no error."""
    import pyarrow as pa

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(folder.parent)
    try:
        data = temporary / _DATA
        with pa.OSFile(str(data), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        (temporary / _CHECKSUM).write_text(hash_file(data))
        if folder.exists() and _read(folder) is None:
            _set_aside(folder)
        try:
            temporary.replace(folder)
        except OSError as error:
            if error.errno not in _THERE:
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _set_aside(damaged: Path) -> None:
    """Have a damaged entry out of the way in one step, unless somebody else just did."""
    broken = _temporary(damaged.parent)
    try:
        with suppress(FileNotFoundError):
            damaged.replace(broken / "damaged")
    finally:
        shutil.rmtree(broken, ignore_errors=True)


def is_whole(folder: Path) -> bool:
    """Whether a folder of the cache is what was written there."""
    return _read(folder) is not None


def _temporary(parent: Path) -> Path:
    """A new folder in ``parent`` that others may read as far as the umask lets them."""
    folder = parent / f".tmp-{secrets.token_hex(4)}"
    folder.mkdir()
    return folder


def _read(folder: Path) -> Dataset | None:
    """The memory-mapped entry, or nothing where it is absent or damaged."""
    import pyarrow as pa
    from datasets import Dataset

    data = folder / _DATA
    try:
        if (folder / _CHECKSUM).read_text() != hash_file(data):
            return None
        return Dataset.from_file(str(data))
    except (OSError, InputError, UnicodeDecodeError, pa.ArrowException):
        return None

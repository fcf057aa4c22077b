"""Files that are broken or mean harm are refused, and nothing is taken for them first."""

from __future__ import annotations

import json
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard
from pydantic import ValidationError

from prunecli.errors import InputError, IntegrityError
from prunecli.packed.folder import unpack
from prunecli.packed.manifest import FileEntry, TensorEntry, TensorPart, digest
from prunecli.packed.reader import PackedFile
from prunecli.packed.settings import PackSettings
from prunecli.packed.source import Weights

from . import fuzzing
from .making import contents, forged, joined, packed, parts_of, source


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    return fuzzing.tiny_model(tmp_path / "good", PackSettings(zstd=True))


@contextmanager
def little_memory() -> Iterator[None]:
    """No more than a few megabytes are taken, whatever is claimed."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def refused(path: Path, data: bytes, said: str = "is corrupt") -> None:
    path.write_bytes(data)
    with little_memory(), pytest.raises(IntegrityError, match=said) as error:
        contents(path)
    assert error.value.exit_code == 4
    with pytest.raises(IntegrityError):
        unpack(path, path.parent / "out")
    assert not (path.parent / "out").exists()


# Accidents


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    data = fuzzing.tiny_model(tmp_path / "m", PackSettings(embeddings="int4"))
    path = tmp_path / "flipped"
    for place in range(0, len(data), 5):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(IntegrityError):
            contents(path)


def test_any_cut_is_noticed(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "cut"
    for size in [*range(40), *range(40, len(good), 61), len(good) - 1]:
        path.write_bytes(good[:size])
        with pytest.raises(IntegrityError):
            contents(path)
    refused(path, good + b"\0")


def test_mutated_files(tmp_path: Path) -> None:
    ends = fuzzing.fuzz(1500, seed=1, forge=False)
    assert ends.total() == 1500
    assert ends["…: its bytes are not those that were written"] > 50


def test_mutated_files_with_digests_that_fit() -> None:
    assert fuzzing.fuzz(400, seed=1, forge=True).total() == 400


@pytest.mark.slow
def test_a_hundred_thousand_mutated_files() -> None:
    assert fuzzing.fuzz(100_000, seed=2, forge=False).total() == 100_000
    assert fuzzing.fuzz(20_000, seed=2, forge=True).total() == 20_000


# Headers


def entry(dtype: str = "U8", shape: object = (4,), offsets: object = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"a": entry(), "b": entry(offsets=(2, 6))}, "not where they must be"),
        ({"a": entry(), "b": entry(offsets=(5, 9))}, "not where they must be"),
        ({"a": entry(offsets=(4, 0))}, "not where they must be"),
        ({"a": entry(shape=(5,))}, "not where they must be"),
        ({"a": entry(shape=(10**15,))}, "nothing usable of 'a'"),
        ({"a": entry(shape=(10**14,))}, "not where they must be"),
        ({"a": entry(shape=(10**14,), offsets=(0, 10**14))}, "has .* bytes where"),
        ({"a": entry(shape=(10**40,), offsets=(0, 10**40))}, "nothing usable of 'a'"),
        ({"a": entry(shape=(-4,))}, "nothing usable of 'a'"),
        ({"a": entry(shape=(2.0, 2))}, "nothing usable of 'a'"),
        ({"a": entry(shape=[True] * 4)}, "nothing usable of 'a'"),
        ({"a": entry(shape=[1] * 100)}, "nothing usable of 'a'"),
        ({"a": entry(dtype="F3")}, "nothing usable of 'a'"),
        ({"a": entry(dtype=["U8"])}, "nothing usable of 'a'"),  # type: ignore[arg-type]
        ({"a": entry(offsets=(0, 4, 4))}, "nothing usable of 'a'"),
        ({"a": {**entry(), "more": 1}}, "nothing usable of 'a'"),
        ({"a": "x"}, "nothing usable of 'a'"),
        ({"a": entry(), "__metadata__": {"format": 1}}, "metadata are not texts"),
        ({"a": entry(), "__metadata__": []}, "metadata are not texts"),
        ([1], "no table"),
        (b'{"a":1,"a":2}', "same name twice"),
        (b'{"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}', "same name twice"),
        (b"[" * 100_000, "cannot be read"),
        (b"{" + b'"a":{' * 50_000, "cannot be read"),
        (b"\xff\xfe{}", "cannot be read"),
        (b'{"a":' + b"9" * 5000 + b"}", "cannot be read"),
        ({"a": entry()}, "no packed model"),
    ],
)
def test_hostile_headers(tmp_path: Path, header: Any, said: str) -> None:
    refused(tmp_path / "hostile", joined(header, b"1234"), said)
    if said != "no packed model":  # a model's own weight file is read by the same rules
        (tmp_path / "model.safetensors").write_bytes(joined(header, b"1234"))
        with little_memory(), pytest.raises(IntegrityError, match=said):
            Weights(tmp_path)


@pytest.mark.parametrize("length", [0, 1, 2**25 + 1, 2**31, 2**63, 2**64 - 1])
def test_hostile_lengths(tmp_path: Path, good: bytes, length: int) -> None:
    refused(tmp_path / "hostile", struct.pack("<Q", length) + good[8:], "header has")


def test_a_header_that_its_manifest_does_not_make(tmp_path: Path, good: bytes) -> None:
    header, content = parts_of(good)
    names = [name for name in header if name != "__metadata__"]
    for change in (
        lambda: header.update({"more": entry(shape=(0,), offsets=(len(content), len(content)))}),
        lambda: header.update({names[0]: {**header[names[0]], "dtype": "I8"}}),
        lambda: header["__metadata__"].update({"more": "text"}),
    ):
        before = json.loads(json.dumps(header))
        change()
        refused(tmp_path / "hostile", joined(header, content), "not the one that its manifest")
        header.clear()
        header.update(before)


# Manifests whose digest fits


def tensor(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda manifest: next(t for t in manifest["tensors"] if t["name"] == name)


layer, embedding = tensor("layer.weight"), tensor("embeddings.weight")


def file_called(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["files"][0].update(name=name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: layer(m).update(shape=[10**15]), "no possible shape"),
        (lambda m: layer(m).update(shape=[10**14]), "bytes are claimed"),
        (lambda m: layer(m).update(shape=[10**14, 10**14]), "bytes are claimed"),
        (lambda m: layer(m).update(shape=[8, 10**4]), "bytes are claimed|claims"),
        (lambda m: layer(m).update(shape=[-6, -40]), "no possible shape"),
        (lambda m: layer(m).update(shape=[2] * 17), "no possible shape"),
        (lambda m: layer(m).update(shape=[6.0, 40]), "integer"),
        (lambda m: layer(m).update(nonzero=10**15), "cannot have"),
        (lambda m: layer(m).update(nonzero=-1), "greater than or equal"),
        (lambda m: layer(m).pop("nonzero"), "parts"),
        (lambda m: layer(m).update(dtype="F3"), "unknown type"),
        (lambda m: layer(m).update(dtype="F64"), "bytes are claimed"),
        (lambda m: layer(m).update(numbers="int4"), "groups"),
        (lambda m: layer(m).update(numbers="int8"), "parts"),
        (lambda m: layer(m).update(dtype="I32", numbers="int8"), "no floating numbers"),
        (lambda m: layer(m).update(name="embeddings.weight"), "a name is there twice"),
        (lambda m: layer(m).update(name=""), "at least 1 character"),
        (lambda m: layer(m).update(name="a\nb"), "impossible name"),
        (lambda m: layer(m).update(name="\u202eb"), "impossible name"),
        (lambda m: layer(m).update(name="__metadata__"), "impossible name"),
        (lambda m: layer(m).update(name="n" * 501), "at most 500"),
        (lambda m: layer(m)["parts"][0].update(bytes=10**14), "bytes are claimed"),
        (lambda m: layer(m)["parts"][0].update(digest="0" * 32), "not those that were written"),
        (lambda m: layer(m)["parts"][0].update(digest="x"), "pattern"),
        (lambda m: layer(m)["parts"][0].update(kind="scales"), "parts"),
        (lambda m: layer(m)["parts"].reverse(), "parts"),
        (lambda m: layer(m)["parts"].clear(), "parts"),
        (lambda m: layer(m).update(more=1), "Extra"),
        (lambda m: m["tensors"].reverse(), "not those that were written|where its header"),
        (lambda m: m["tensors"].clear(), "where its header asks"),
        (lambda m: m.update(tensors={}), "tensors"),
        (lambda m: m.pop("files"), "files"),
        (lambda m: m.update(layout=0), "layout"),
        (lambda m: m.update(layout="1"), "layout"),
        (file_called("../config.json"), "not the name"),
        (file_called("/etc/passwd.txt"), "not the name"),
        (file_called("a/b.json"), "not the name"),
        (file_called("a\\b.json"), "not the name"),
        (file_called("C:x.json"), "not the name"),
        (file_called(".json"), "not the name"),
        (file_called("..json\n"), "not the name"),
        (file_called("model.py"), "not the name"),
        (file_called("model.safetensors"), "not the name"),
        (file_called("model.safetensors.index.json"), "not the name"),
        (file_called("pytorch_model.bin"), "not the name"),
        (file_called("VOCAB.TXT"), "a name is there twice|not the name"),
        (file_called("VOCAB.txt"), "a name is there twice"),
        (lambda m: m["files"][1].update(size=10**15), "less than or equal"),
        (lambda m: m["files"][1].update(size=10**14), "claims"),
    ],
)
def test_hostile_manifests(
    tmp_path: Path, good: bytes, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    refused(tmp_path / "hostile", forged(good, change), said)


@pytest.mark.parametrize(("size", "fits"), [(128, True), (129, False)])
def test_a_tensor_takes_at_most_512_times_its_stored_bytes(size: int, fits: bool) -> None:
    """Of ``size`` zeros in 4 bytes each only a mask is stored, compressed to a single byte."""
    whole = {"digest": "0" * 32, "codec": "zlib", "kind": "mask", "bytes": 1}
    none = {"digest": "0" * 32, "kind": "values", "bytes": 0}
    given = {"name": "w", "dtype": "F32", "shape": (size,), "nonzero": 0}

    def made() -> TensorEntry:
        return TensorEntry.model_validate(
            given | {"parts": (TensorPart(**whole), TensorPart(**none))}
        )

    if fits:
        assert made().dense_bytes == 512 * made().packed_bytes
    else:
        with pytest.raises(ValidationError, match="'w' claims 516 bytes"):
            made()


@pytest.mark.parametrize(("size", "fits"), [(512, True), (513, False)])
def test_a_file_takes_at_most_512_times_its_stored_bytes(size: int, fits: bool) -> None:
    given = {"name": "vocab.txt", "size": size, "digest": "0" * 32, "codec": "zlib", "bytes": 1}
    if fits:
        assert FileEntry.model_validate(given).size == 512
    else:
        with pytest.raises(ValidationError, match=r"'vocab\.txt' claims 513 bytes"):
            FileEntry.model_validate(given)


@pytest.mark.parametrize("text", ["", "[]", "null", "1", '{"layout":', "[" * 100_000])
def test_what_is_no_manifest(tmp_path: Path, good: bytes, text: str) -> None:
    header, content = parts_of(good)
    header["__metadata__"] |= {"manifest": text, "digest": digest(text.encode())}
    refused(tmp_path / "hostile", joined(header, content), "manifest")


def test_a_later_layout_says_so(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "later"
    path.write_bytes(forged(good, lambda manifest: manifest.update(layout=2)))
    with pytest.raises(InputError, match="it has layout 2, this is 1") as error:
        PackedFile(path)
    assert "later version" in (error.value.hint or "")


# Content whose digest fits


def with_content(data: bytes, kind: str, replace: Callable[[bytes], bytes], codec: str) -> bytes:
    """``data`` with another first part of that kind, or another first file."""
    header, content = parts_of(data)
    manifest = json.loads(header["__metadata__"]["manifest"])
    offset = 0
    parts = [(part, t) for t in manifest["tensors"] for part in t["parts"]]
    for part, _ in [*parts, *((file, None) for file in manifest["files"])]:
        size = part["bytes"]
        if part.get("kind", "file") == kind:
            new = replace(content[offset : offset + size])
            part |= {"bytes": len(new), "digest": digest(new), "codec": codec}
            content = content[:offset] + new + content[offset + size :]
            break
        offset += size
    changed = joined(header, content)
    return forged(changed, lambda found: found.update(manifest))


def test_masks_that_do_not_fit_their_values(tmp_path: Path) -> None:
    weights = torch.zeros(9, 9)
    weights[0, :3] = 1.5
    path, _ = packed(tmp_path, {"w": weights})
    data, hostile = path.read_bytes(), tmp_path / "hostile"
    for mask, said in [
        (b"\x0f" + bytes(10), "does not mark"),
        (bytes(11), "does not mark"),
        (b"\x03" + bytes(9) + b"\x02", "bits behind"),
        (b"\x07" + bytes(9) + b"\x80", "bits behind"),
    ]:
        refused(hostile, with_content(data, "mask", lambda _, m=mask: m, "none"), said)


ZEROS = bytes(10**7)
NOISE = bytes(range(100))


def text(size: int) -> bytes:
    return NOISE + b"x" * (size - len(NOISE))


def unsized(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


@pytest.mark.parametrize(
    ("codec", "bomb"),
    [
        ("zlib", zlib.compress(ZEROS)),
        ("zlib", zlib.compress(text(19_999))),
        ("zlib", zlib.compress(text(20_001))),
        ("zlib", zlib.compress(text(20_000)) + b"more"),
        ("zlib", zlib.compress(text(20_000))[:-2]),
        ("zlib", bytes(100)),
        ("zstd", zstandard.compress(ZEROS)),
        ("zstd", unsized(ZEROS)),
        ("zstd", unsized(text(20_000))),
        ("zstd", zstandard.compress(text(19_999))),
        ("zstd", zstandard.compress(text(20_001))),
        ("zstd", zstandard.compress(text(20_000)) + b"more"),
        ("zstd", zstandard.compress(text(20_000)) + zstandard.compress(ZEROS)),
        ("zstd", zstandard.compress(text(20_000))[:-2]),
        ("zstd", bytes(100)),
        # a frame that says 20,000 bytes and goes on for ten million
        ("zstd", b"\x28\xb5\x2f\xfd\x60\x20\x4d" + zstandard.compress(ZEROS)[9:]),
    ],
)
def test_bombs(tmp_path: Path, codec: str, bomb: bytes) -> None:
    path, _ = packed(tmp_path, {"w": torch.ones(2)}, files={"vocab.txt": text(20_000)})
    data = with_content(path.read_bytes(), "file", lambda _: bomb, codec)
    refused(tmp_path / "hostile", data, "a compressed part")


def test_a_compressed_part_that_is_what_it_says_is_read(tmp_path: Path) -> None:
    path, _ = packed(tmp_path, {"w": torch.ones(2)}, files={"vocab.txt": text(20_000)})
    for codec, good in [
        ("zlib", zlib.compress(text(20_000))),
        ("zstd", zstandard.compress(text(20_000))),
    ]:
        path.write_bytes(with_content(path.read_bytes(), "file", lambda _, g=good: g, codec))
        assert contents(path)[1] == {"vocab.txt": text(20_000)}


# The package zstandard


def test_without_zstandard_the_extra_is_named(
    tmp_path: Path, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "good.safetensors"
    path.write_bytes(good)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    for attempt in (
        lambda: contents(path),
        lambda: packed(tmp_path / "x", {"w": torch.ones(2)}, PackSettings(zstd=True)),
    ):
        with pytest.raises(InputError, match="zstandard") as error:
            attempt()
        assert "prunecli[packed]" in (error.value.hint or "")


# Files that are not there


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        PackedFile(tmp_path / "none")
    with pytest.raises(InputError, match="cannot read"):
        PackedFile(tmp_path)
    with pytest.raises(InputError, match="no weights"):
        Weights(tmp_path)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path, manifest = packed(tmp_path, {"w": torch.randn(50)})
    file = PackedFile(path)
    data = path.read_bytes()
    for changed in (data[:-30], data[:-1] + bytes([data[-1] ^ 1])):
        path.write_bytes(changed)
        with pytest.raises(IntegrityError, match="not those that were written"):
            file.file(manifest.files[-1])
    path.write_bytes(data[:-400])
    with pytest.raises(IntegrityError, match="not those that were written"):
        list(file.chunks(manifest.tensors[0]))


def test_a_source_that_is_cut(tmp_path: Path) -> None:
    path = source(tmp_path, {"w": torch.randn(50)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="is corrupt"):
        Weights(tmp_path)

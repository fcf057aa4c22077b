"""A file of layout version 1 stays readable. It was written once and is never written again."""

from __future__ import annotations

import hashlib
from pathlib import Path

from prunecli.packed.folder import unpack
from prunecli.packed.reader import PackedFile

from .making import contents

V1 = Path(__file__).parents[1] / "data" / "packed-v1.safetensors"
NUMBERS = {
    "bias": "exact",
    "bool": "exact",
    "double": "int8",
    "dense": "int8",
    "embedding": "int4",
    "empty": "exact",
    "half": "int8",
    "ids": "exact",
    "scalar": "exact",
    "sparse": "int8",
    "sparse ids": "exact",
}


def test_the_file_of_layout_1_is_read(tmp_path: Path) -> None:
    assert V1.stat().st_size < 10_000
    file = PackedFile(V1)
    assert file.manifest.layout == 1
    assert {entry.name: entry.numbers for entry in file.manifest.tensors} == NUMBERS
    codecs = {part.codec for entry in file.manifest.tensors for part in entry.parts}
    assert codecs == {"none", "zstd"}
    tensors, files = contents(V1)
    whole = hashlib.sha256()
    for name, content in sorted({**tensors, **files}.items()):
        whole.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    assert whole.hexdigest() == ("cb9e2e2f9e79bbe5fb8fab8d6d9875649c18dedf8880d2e8327078acebdc6f7a")
    folder = unpack(V1, tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "vocab.txt",
    ]

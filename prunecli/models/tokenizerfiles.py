"""The files of a tokenizer's vocabulary, and the packages that reading them takes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from prunecli.machine.extras import check_installed, needed

_READY: Final = ("tokenizer.json", "vocab.txt", "vocab.json")
"""What the library reads by itself."""
_MODELS: Final = (
    "spm.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "tokenizer.model",
    "tiktoken.model",
)
_PROTOBUF: Final = b"\x0a"
"""How a model of SentencePiece begins: field 1, bytes. One of tiktoken is lines of base64."""


def has_vocabulary(folder: Path) -> bool:
    """Whether any file of a vocabulary is in ``folder``."""
    return any((folder / name).is_file() for name in (*_READY, *_MODELS))


def check_packages(folder: Path) -> None:
    """Raise `InputError` naming the extra that the vocabulary in ``folder`` takes, where it lacks.

    The library names tiktoken whatever is missing, and so sends owners of a model of SentencePiece
    the wrong way.
    """
    if any((folder / name).is_file() for name in _READY):
        return
    for name in _MODELS:
        path = folder / name
        if not path.is_file():
            continue
        purpose = f"the tokenizer in {folder}, which has {name} and no tokenizer.json,"
        with path.open("rb") as file:
            kind = "sentencepiece" if file.read(1) == _PROTOBUF else "tiktoken"
        check_installed(kind, extra=kind, purpose=purpose)
        if kind == "sentencepiece":
            needed("google.protobuf", extra=kind, purpose=purpose)
        return

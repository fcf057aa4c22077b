"""Fingerprints of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from prunecli.errors import InputError
from prunecli.store.workspace import file_sha256


def hash_file(path: Path) -> str:
    """SHA-256 in hex of one file, read in pieces; `InputError` where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def hash_files(files: Mapping[str, Path], hashed: Callable[[Path], str] = hash_file) -> str:
    """SHA-256 in hex over each name and the streamed content of its file, in the order given.

    ``hashed`` answers for one place, which need not be a file.
    """
    whole = hashlib.sha256()
    for name, path in files.items():
        whole.update(f"{name}\0{hashed(path)}\n".encode())
    return whole.hexdigest()


def hash_text(*parts: object) -> str:
    """SHA-256 in hex of the parts' text forms, separated so that no two lists run together."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()

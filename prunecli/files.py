"""Files: hashed, replaced, written whole or not at all, and read as TOML."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from prunecli.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - Python 3.10
    import tomli as tomllib


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's content, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def write_atomically(path: Path, text: str | Iterable[str]) -> None:
    """Replace ``path`` by ``text``, or by its pieces one after the other, whole or not at all."""
    with replacing(path) as stream:
        stream.writelines(piece.encode() for piece in ([text] if isinstance(text, str) else text))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that replaces ``path`` when the block ends without an error.

    Its content is on the disk before it has its name, so that a machine that stops leaves no less.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        with beside.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def assembled(final: Path, staged: Path | None = None) -> Iterator[Path]:
    """A new folder that replaces ``final`` when the block ends without an error; as `replacing`.

    Until then it is ``staged``, on the same disk, or a hidden name beside ``final``.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    staged = staged or _beside(final)
    staged.mkdir()
    try:
        yield staged
        as_umask(staged)
        sync(staged)
        if final.exists():
            shutil.rmtree(final)
        staged.replace(final)
        _sync_folder(final.parent)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def as_umask(folder: Path) -> None:
    """Give all files below a folder the mode that a new one there has.

    Some libraries write theirs for the owner alone, and copies have the mode of what they are of.
    """
    mode = mode_in(folder)
    for path in files_in(folder).values():
        if not path.is_symlink():
            path.chmod(mode)


def mode_in(folder: Path) -> int:
    """The mode that a new file in a folder has, which asking for the umask would change."""
    probe = folder / f".{secrets.token_hex(4)}"
    probe.touch(exist_ok=False)
    try:
        return stat.S_IMODE(probe.stat().st_mode)
    finally:
        probe.unlink()


def sync(path: Path) -> None:
    """Have a file, or a folder and all below it, written to the disk before this returns."""
    if not path.is_dir():
        _sync_file(path)
        return
    for _, found in entries(path):
        if found.is_dir():
            _sync_folder(found)
        elif found.is_file():
            _sync_file(found)
    _sync_folder(path)


def _sync_file(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder written; where a system can't say so for folders, nothing."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def _beside(path: Path) -> Path:
    """A hidden name beside ``path`` that nobody else uses; made with the user's own umask."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def failed_write(error: Exception) -> str | None:
    """What a library says of a disk that takes no more; ``None`` for any other error.

    safetensors does not export its error, PyTorch and tokenizers have none of their own.
    """
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = (str(error).splitlines() or [""])[0]
    of_torch = isinstance(error, RuntimeError) and any(sign in text for sign in _OF_TORCH)
    of_rust = type(error).__name__ == "SafetensorError" or _OF_RUST.search(text)
    return text[:200] if of_torch or of_rust else None


_OF_TORCH: Final = ("PytorchStreamWriter", "inline_container.cc", "iostream error")
"""How PyTorch says that a file of it could not be written, in any of its versions."""
_OF_RUST: Final = re.compile(r"\(os error \d+\)$")
"""How a library written in Rust does, as tokenizers."""


def expanded(text: str | Path) -> Path:
    """A path whose ``~`` or ``~user`` is the home folder; as it is where there is no such user."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  (pathlib raises for an unknown user)


def files_in(folder: Path) -> dict[str, Path]:
    """All files below a folder, by their path from there, sorted."""
    return {name: path for name, path in entries(folder) if path.is_file()}


def entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """All that lies below a folder, links and folders too, by its path from there, sorted."""
    for path in sorted(folder.rglob("*")):
        yield path.relative_to(folder).as_posix(), path


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


_MOST: Final = 1 << 24


def read_bounded(path: Path, most: int = _MOST) -> bytes:
    """What a file holds; ``ValueError`` where that is more than ``most`` bytes."""
    with path.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def read_toml(path: Path) -> dict[str, Any]:
    """Parsed TOML; raises `InputError` when the file is missing, unreadable or not TOML."""
    try:
        parsed: dict[str, Any] = tomllib.loads(read_bounded(path).decode())
        return parsed
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except RecursionError:
        raise InputError(f"{path} is not valid TOML: it is nested too deeply") from None
    except ValueError as error:  # of a number with too many digits, too
        raise InputError(f"{path} is not valid TOML: {str(error)[:200]}") from None

"""A workspace at an address, such as ``s3://bucket/w``: files by their place, through fsspec.

Nothing here knows what a run is; see `prunecli.store.mirror`.
"""

from __future__ import annotations

import errno
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from prunecli.errors import InputError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://")
_SECRET = re.compile(r"://[^@]*:[^@]*@|[?]")
"""A password, which may hold slashes, or a query, which may hold a signature."""
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""What the disk of this machine says, not the address, while something is fetched."""
_FINGERPRINT = (
    *("size", "ETag", "etag", "md5Hash", "generation", "mtime", "LastModified"),
    *("last_modified", "created"),
)
"""What one or the other file system tells of a file, which changes with it."""


def is_address(place: str) -> bool:
    """Whether ``place`` is an address, not a folder of this machine."""
    return _ADDRESS.match(place) is not None


class Upstream:
    """The files below one address, by their relative path with slashes."""

    def __init__(self, address: str) -> None:
        """Raises `InputError` where the address has no file system, or one not installed.

        That is also for one with a password in it, which records and reports would repeat.
        """
        import fsspec

        self.address = address.rstrip("/")
        _check(self.address)
        try:
            fs, root = fsspec.core.url_to_fs(self.address, use_listings_cache=False)
        except (ImportError, ValueError, OSError) as error:
            missing = not isinstance(error, OSError)
            raise InputError(
                f"cannot use {self.address} as a workspace: {_reason(error)}",
                hint="install what fsspec names for it, as s3fs or gcsfs, or give a folder"
                if missing
                else _REACH,
            ) from None
        self._fs: Any = fs
        self._root = str(root).rstrip("/")

    def check(self) -> None:
        """Raise `InputError` where there is no such bucket: a library makes one, mistyped or not.

        Where a place begins at ``/`` there are none.
        """
        bucket = "" if self._root.startswith("/") else self._root.partition("/")[0]
        with self._reached("write to"):
            if bucket and not self._fs.exists(bucket):
                raise FileNotFoundError(f"there is no '{bucket}' yet")

    def files(self, below: str = "") -> dict[str, str]:
        """Every file whose path begins as ``below``, by its path, and what changes when it does.

        ``below`` is empty or a folder's path, with a slash at its end.
        Names that lead elsewhere, or are hidden, are passed over. Raises `InputError`.
        """
        with self._reached("read"):
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._place(below).rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}
        files = {}
        for place, told in found.items():
            path = str(place).removeprefix(self._root).lstrip("/")
            if told.get("type") == "file" and path.startswith(below) and _inside(path):
                files[path] = _fingerprint(told)
        return files

    def fetch(self, path: str, to: Path) -> None:
        """Copy one file from there to ``to``. Raises `InputError`."""
        to.parent.mkdir(parents=True, exist_ok=True)
        with self._reached("read"):
            self._fs.get_file(self._place(path), str(to))

    def read(self, path: str) -> bytes | None:
        """The content of a small file, or ``None`` where there is none. Raises `InputError`."""
        with self._reached("read"):
            try:
                content: bytes = self._fs.cat_file(self._place(path))
            except FileNotFoundError:
                return None
        return content

    def send(self, path: str, of: Path, *, whole: bool = False) -> str:
        """Copy a file there, over one that is there, and give what changes when it does.

        A ``whole`` one appears under its name in one step. Raises `InputError`.
        """
        with self._reached("write to"):
            place = self._place(path)
            self._fs.makedirs(place.rpartition("/")[0], exist_ok=True)
            first = f"{place}.{secrets.token_hex(4)}.part" if whole else place
            self._fs.put_file(str(of), first)
            if whole:
                self._fs.mv(first, place)
            self._fs.invalidate_cache()
            return _fingerprint(self._fs.info(place))

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all below it; nothing where there is none."""
        with self._reached("write to"):
            place = self._place(path)
            with suppress(FileNotFoundError):
                self._fs.rm(place, recursive=True)
            self._fs.invalidate_cache()

    def _place(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _reached(self, doing: str) -> Iterator[None]:
        """Turn what a file system raises into one line: each raises errors of its own library."""
        try:
            yield
        except (InputError, MemoryError):
            raise
        except Exception as error:
            if doing == "read" and isinstance(error, OSError) and error.errno in _DISK:
                raise
            raise InputError(
                f"cannot {doing} {self.address}: {_reason(error)}", hint=_REACH
            ) from None


_REACH = "see that it can be reached with your credentials, and run the command again"


def _check(address: str) -> None:
    if "::" in address.partition("://")[0]:
        raise InputError(
            f"{address.partition('://')[0]}:// leads through several file systems",
            hint="give the address itself: a workspace is copied to this machine anyway",
        )
    if _SECRET.search(address):
        raise InputError(
            f"the {address.partition(':')[0]} address has a password or a query in it, which "
            "records would repeat",
            hint="put it where its library looks for credentials, or in fsspec's configuration",
        )
    if not is_address(address):
        raise InputError(f"'{address}' names no place", hint="for example: s3://bucket/w")


def _inside(path: str) -> bool:
    """Whether a file so called lies below the root here as it does there, and is not hidden."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and "/".join(parts) == path
        and all(part.isprintable() and part[0] not in ".~" for part in parts)
        and not any(mark in path for mark in "\\:")
        and not path.endswith(".part")
    )


def _fingerprint(told: dict[str, Any]) -> str:
    return "|".join(str(told.get(key, "")) for key in _FINGERPRINT)


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200]

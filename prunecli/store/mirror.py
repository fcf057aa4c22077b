"""The copy on this machine of a workspace that lies at an address.

All work is done in the copy. What the address has and the copy lacks is fetched before a command
looks; what a command finishes is sent at once. A run or an artefact is sent file by file, its
record last, so that it is there whole or not at all, as in a folder. Two machines that make the
same run at the same time both make it, since an address has no locks: the first one sent stays.

Kept here alone are checkpoints of unfinished training, locks, caches and `tracking/`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from prunecli.errors import InputError
from prunecli.files import assembled, files_in, write_atomically
from prunecli.store.copies import TOLD, Told, told_of
from prunecli.store.folders import FILES, FOLDERS, RECORD, finished, is_linked
from prunecli.store.upstream import Upstream
from prunecli.text.numbers import counted


class Mirror:
    """A copy, and what it is of."""

    def __init__(self, upstream: Upstream, root: Path) -> None:
        self._upstream, self._root = upstream, root
        self.address = upstream.address

    def check(self) -> None:
        """Raise `InputError` where nothing can be sent to, as a bucket that is not there."""
        self._upstream.check()

    def pull(self, tell: Callable[[str], object] = lambda _: None) -> None:
        """Fetch what the copy lacks, send what it could not send, drop what is gone there.

        ``tell`` gets a line where there is something to fetch. Raises `InputError`.
        """
        with self._alone():
            there = _units(self._upstream.files())
            known, unsent, here = *self._known(), self._here()
            if known and not there:
                raise InputError(
                    f"{self.address} is empty, and {counted(len(known), 'item')} of it were there",
                    hint=f"mend the address, or begin anew without its copy: rm -r {self._root}",
                )
            for unit in sorted(here - there.keys()):
                if unit in known:  # somebody else has removed it
                    self._drop(unit)
                    here.remove(unit)
                else:
                    unsent[unit] = ""
            known = {unit: mark for unit, mark in known.items() if unit in here}
            stays = {  # unless somebody else has changed it, too
                unit: was
                for unit, was in unsent.items()
                if unit in here and (unit not in there or there[unit][_marker(unit)] == was)
            }
            unsent = self._sent(stays, known, tell)
            wanted = [
                unit
                for unit, files in there.items()
                if unit not in stays
                and (unit not in here or known.get(unit) != files[_marker(unit)])
            ]
            if wanted:
                tell(f"copying {counted(len(wanted), 'item')} from {self.address}")
            try:
                for unit in wanted:
                    self._fetch(unit, there[unit])
                    known[unit] = there[unit][_marker(unit)]
            finally:  # what was fetched is not fetched again
                self._keep(known, unsent)

    def _sent(
        self, units: Mapping[str, str], known: dict[str, str], tell: Callable[[str], object]
    ) -> dict[str, str]:
        """Send ``units``, by what they were made of; which could not be, as at one only read."""
        left, why = {}, None
        for unit, was in units.items():
            try:
                self._send(unit, known, was or None)
            except InputError as error:
                left[unit], why = was, error
        if why is not None:
            tell(f"not sent from this machine yet, {counted(len(left), 'item')}: {why}")
        return left

    def push(self, path: Path) -> None:
        """Send a folder or file of the copy; of a run that another machine sent, take that one.

        Raises `InputError`; the next `pull` then tries once more.
        """
        unit = path.relative_to(self._root).as_posix()
        with self._alone():
            known, unsent = self._known()
            was = known.pop(unit, unsent.pop(unit, None)) or None
            self._keep(known, unsent if was is None else {**unsent, unit: was})
            self._send(unit, known, was)
            self._keep(known, unsent)

    def drop(self, path: Path) -> None:
        """Remove there what was removed here. Raises `InputError`."""
        unit = path.relative_to(self._root).as_posix()
        with self._alone():
            # The record first: what is half removed does not count.
            if _is_folder(unit):
                self._upstream.remove(_marker(unit))
            self._upstream.remove(unit)
            known, unsent = self._known()
            for own in (known, unsent):
                own.pop(unit, None)
            self._keep(known, unsent)

    def _send(self, unit: str, known: dict[str, str], was: str | None = None) -> None:
        """Send ``unit``, over what is there where that is what it ``was`` made of."""
        path, marker = self._root / unit, _marker(unit)
        if not _is_folder(unit):
            known[unit] = self._upstream.send(unit, path, whole=True)
            return
        there = self._upstream.files(f"{unit}/")
        if marker in there and there[marker] != was:
            if self._upstream.read(marker) != (path / RECORD).read_bytes():
                self._fetch(unit, there)
            known[unit] = there[marker]
            return
        kept = there if marker in there else {}  # without a record they may be half
        own = {f"{unit}/{file}": of for file, of in files_in(path).items()}
        for file, of in own.items():
            if file != marker and file not in kept and not is_linked(self._root, file):
                # Beside a record that is there nothing may be half.
                self._upstream.send(file, of, whole=marker in there)
        known[unit] = self._upstream.send(marker, path / RECORD, whole=True)
        for file in there.keys() - own.keys():
            self._upstream.remove(file)

    def _fetch(self, unit: str, files: Mapping[str, str]) -> None:
        final = self._root / unit
        if _is_folder(unit):
            with assembled(final) as folder:
                for file in files:
                    self._upstream.fetch(file, folder / PurePosixPath(file).relative_to(unit))
            return
        final.parent.mkdir(parents=True, exist_ok=True)
        part = final.with_name(f".{final.name}.part")
        try:
            self._upstream.fetch(unit, part)
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)

    def _drop(self, unit: str) -> None:
        path = self._root / unit
        if _is_folder(unit):
            with suppress(OSError):
                (path / RECORD).unlink()
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def _here(self) -> set[str]:
        units = set()
        for kind in FOLDERS:
            units |= {f"{kind}/{name}" for name in finished(self._root / kind)}
        for kind in FILES:
            for file in files_in(self._root / kind):
                if not any(part.startswith(".") for part in PurePosixPath(file).parts):
                    units.add(f"{kind}/{file}")
        return units

    def _known(self) -> tuple[dict[str, str], dict[str, str]]:
        told = told_of(self._root)
        return told.known, told.unsent

    def _keep(self, known: Mapping[str, str], unsent: Mapping[str, str]) -> None:
        told = Told(address=self.address, known=dict(sorted(known.items())), unsent=dict(unsent))
        write_atomically(self._root / TOLD, told.model_dump_json(indent=1) + "\n")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of all processes of this machine, one at a time compares and copies."""
        from filelock import FileLock

        path = self._root / "locks" / "upstream.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path):
                yield
        except OSError as error:
            raise InputError(
                f"cannot keep a copy of {self.address} in {self._root}: {error.strerror or error}",
                hint="say where it can be kept with PRUNE_MIRRORS",
            ) from None


def _is_folder(unit: str) -> bool:
    return unit.partition("/")[0] in FOLDERS


def _marker(unit: str) -> str:
    """The file that says of ``unit`` that it is there, and changes when it does."""
    return f"{unit}/{RECORD}" if _is_folder(unit) else unit


def _units(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What is whole among ``files``, and the files of each."""
    units: dict[str, dict[str, str]] = {}
    for file, mark in files.items():
        kind, *rest = PurePosixPath(file).parts
        if kind in FOLDERS and len(rest) > 1:
            units.setdefault(f"{kind}/{rest[0]}", {})[file] = mark
        elif kind in FILES and rest:
            units[file] = {file: mark}
    return {unit: own for unit, own in units.items() if _marker(unit) in own}

"""How files of data are to be read, where that is said: encoding, delimiter, missing labels."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from typing import ClassVar, Final

from prunecli.errors import UsageError
from prunecli.records.base import Growing

_DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}


class Reading(Growing):
    """What was said of how to read; where nothing was said, the files themselves tell."""

    later: ClassVar[frozenset[str]] = frozenset({"large_data"})

    encoding: str | None = None
    """``None`` is what a byte-order mark says, else UTF-8."""
    delimiter: str | None = None
    """One character; ``None`` is the one under which the first line has the task's columns."""
    drop_missing: bool = False
    """Whether rows without a label, or without a text, are left out."""
    large_data: bool | None = None
    """Whether the limits of `prunecli.data.limits` don't count; it changes no example."""

    @property
    def flags(self) -> str:
        """What was said, as it is said on the command line."""
        parts = [f"--encoding {self.encoding}"] if self.encoding else []
        if self.delimiter:
            parts.append(f"--delimiter {delimiter_name(self.delimiter)}")
        parts += [flag for flag, said in self._switches() if said]
        return " ".join(parts)

    def _switches(self) -> list[tuple[str, bool]]:
        return [("--drop-missing", self.drop_missing), ("--large-data", bool(self.large_data))]

    def over(self, other: Reading) -> Reading:
        """This, and from ``other`` what nothing is said of here."""
        return Reading(
            encoding=self.encoding or other.encoding,
            delimiter=self.delimiter or other.delimiter,
            drop_missing=self.drop_missing or other.drop_missing,
            large_data=self.large_data or other.large_data,
        )


AS_THEY_ARE: Final = Reading()
"""Nothing said."""


def parse_encoding(key: str, raw: object) -> str:
    """Python's name of a text encoding, one for all its spellings; or `UsageError`."""
    try:
        if not isinstance(raw, str):
            raise LookupError
        b"\xff".decode(raw, "replace")  # refuses the codecs that are not of texts
        return codecs.lookup(raw).name.removesuffix("-sig")
    except (LookupError, ValueError):
        raise UsageError(
            f"{key}: '{raw}' is no text encoding",
            hint="for example: utf-8, utf-16, cp1252, latin-1, gb18030",
        ) from None


def parse_delimiter(key: str, raw: object) -> str:
    """One character, which may be written as its name or as ``\\t``; or `UsageError`."""
    found = raw if isinstance(raw, str) else ""
    found = "\t" if found == "\\t" else _DELIMITERS.get(found, found)
    if len(found) != 1 or found in '"\r\n\0\ufeff':
        raise UsageError(
            f"{key}: '{raw}' is no delimiter",
            hint=f"one character, or one of {', '.join(_DELIMITERS)}",
        )
    return found


def parse_truth(key: str, raw: object) -> bool:
    """A truth value as TOML has it; or `UsageError`."""
    if not isinstance(raw, bool):
        raise UsageError(f"{key}: '{raw}' is neither true nor false")
    return raw


PARSERS: Final[dict[str, Callable[[str, object], object]]] = {
    "encoding": parse_encoding,
    "delimiter": parse_delimiter,
    "drop_missing": parse_truth,
}
"""Each key of `Reading` and what makes its value of what was written."""


def delimiter_name(delimiter: str) -> str:
    """``semicolon``, or the character itself in quotes where it has no name."""
    names = {character: name for name, character in _DELIMITERS.items()}
    return names.get(delimiter, repr(delimiter))


def refuse(reading: Reading, what: str, keys: Iterable[str] = PARSERS) -> None:
    """Raise `UsageError` where one of the settings ``keys`` is given, which mean nothing here."""
    for key in keys:
        if getattr(reading, key):
            raise UsageError(f"{key} means nothing for {what}", hint="leave it out")

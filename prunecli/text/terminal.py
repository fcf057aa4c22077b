"""Text from outside, made fit for a terminal: what would steer it is shown in place of done."""

from __future__ import annotations

import re
from typing import Final

_STEERING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed, among them escape
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of writing
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""Characters that move, colour, hide or turn what a person reads; a line feed ends a line."""


def visible(text: str) -> str:
    r"""``text`` with each such character as it is written in a program: ``\x1b``, ``\u202e``."""
    return _STEERING.sub(_escaped, text.replace("\r\n", "\n"))


def visible_json(document: str) -> str:
    r"""A JSON document with the same characters as JSON escapes them: it says the same as before.

    In JSON they stand inside texts alone, where ``\u001b`` means what it replaces.
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    # JSON has no letter of the first kind, so that a report as JSON stays one: it escapes those
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"

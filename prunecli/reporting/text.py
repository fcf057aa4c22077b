"""Text from outside, made fit to stand in a line."""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that print nothing, among them what turns the direction of writing."""


def one_line(text: str, limit: int) -> str:
    """``text`` on one line without unprintable characters, at most ``limit`` long."""
    # cut first: what is looked at letter by letter stays short however long the text is
    seen = (" " if unicodedata.category(c) in _UNSEEN else c for c in text[: 4 * limit])
    line = re.sub(r"\s+", " ", "".join(seen)).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"

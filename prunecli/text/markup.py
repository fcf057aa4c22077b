"""Text from outside, made fit to stand in a line and in Markdown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that print nothing, among them what turns the direction of writing."""

_ESCAPES = (
    {letter: f"\\{letter}" for letter in "\\`*_[]|~"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}  # a dollar begins mathematics
)
_LONGEST = 300
_LONGEST_COMMAND = 4000


def one_line(text: str, limit: int) -> str:
    """``text`` on one line without unprintable characters, at most ``limit`` long."""
    # cut first: what is looked at letter by letter stays short however long the text is
    seen = (" " if unicodedata.category(c) in _UNSEEN else c for c in text[: 4 * limit])
    line = re.sub(r"\s+", " ", "".join(seen)).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def text(value: str, limit: int = _LONGEST) -> str:
    """``value`` as one line that Markdown and HTML show as it is, at most ``limit`` long."""
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in one_line(value, limit))
    # an address is shown, not linked
    return escaped.replace("://", "&#58;//").replace("www.", "www&#46;")


def code(lines: Sequence[str]) -> str:
    """A code block that nothing in ``lines`` can end."""
    body = "\n".join(one_line(line, _LONGEST_COMMAND) for line in lines)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{body}\n{fence}"

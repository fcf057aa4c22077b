"""Words such as ``@best`` as bash tells them to what completes: ``@`` and ``best``."""

from __future__ import annotations

import os
from collections.abc import MutableMapping


def join_at_signs(environ: MutableMapping[str, str] = os.environ) -> None:
    """Put together again, in what bash says of a line to complete, what it took apart."""
    if environ.get("_PRUNE_COMPLETE") != "complete_bash":
        return
    words, current = environ.get("COMP_WORDS", "").split("\n"), int(environ.get("COMP_CWORD", "0"))
    joined, place = list[str](), current
    for number, word in enumerate(words):
        if joined and joined[-1] == "@":
            joined[-1] += word
            place -= number <= current
        else:
            joined.append(word)
    environ["COMP_WORDS"], environ["COMP_CWORD"] = "\n".join(joined), str(place)

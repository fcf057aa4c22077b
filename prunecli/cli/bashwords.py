"""Words with an ``@`` or a colon as bash tells them to what completes: ``@``, ``best``.

And ``s3``, ``:``, ``//bucket/w``.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping


def join_at_signs(environ: MutableMapping[str, str] = os.environ) -> None:
    """Put together again, in what bash says of a line to complete, what it took apart."""
    if environ.get("_PRUNE_COMPLETE") != "complete_bash":
        return
    words, said = environ.get("COMP_WORDS", "").split("\n"), environ.get("COMP_CWORD", "")
    current = int(said) if said.isdecimal() else 0  # no number: set by hand
    joined, place = list[str](), current
    for number, word in enumerate(words):
        # What is being typed keeps its part: bash puts what completes it in the place of that.
        address = number < current and (word == ":" or (joined and joined[-1].endswith(":")))
        if joined and (joined[-1] == "@" or address):
            joined[-1] += word
            place -= number <= current
        else:
            joined.append(word)
    environ["COMP_WORDS"], environ["COMP_CWORD"] = "\n".join(joined), str(place)

"""Where examples come from and how they become batches.

`load` reads a task from the hub, a GLUE folder, one file or the generator; `tokenise`,
`collator` and `length_batches` turn its examples into batches. Nothing heavy is
imported until one of them is called.
"""

from __future__ import annotations

from prunecli.data.batches import collator, length_batches
from prunecli.data.source import GENERATED, HUB, TaskData, fingerprint, load
from prunecli.data.tokenised import tokenise

__all__ = [
    "GENERATED",
    "HUB",
    "TaskData",
    "collator",
    "fingerprint",
    "length_batches",
    "load",
    "tokenise",
]

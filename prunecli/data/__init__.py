"""Where examples come from and how they become batches.

`load` reads a task from the hub, a GLUE folder, one file or the generator; `drawn` and `hold_out`
choose among its examples; `tokenise`, `collator`, `length_batches` and `mixed_batches` turn them
into batches. Nothing heavy is imported until one of them is called.
"""

from __future__ import annotations

from prunecli.data.batches import collator, length_batches, mixed_batches
from prunecli.data.rows import drawn, hold_out
from prunecli.data.source import GENERATED, HUB, TaskData, fingerprint, holds_all, load
from prunecli.data.tokenised import tokenise

__all__ = [
    "GENERATED",
    "HUB",
    "TaskData",
    "collator",
    "drawn",
    "fingerprint",
    "hold_out",
    "holds_all",
    "length_batches",
    "load",
    "mixed_batches",
    "tokenise",
]

"""From a model and data to the smallest and fastest model that loses no more than asked.

`subject` finds out what is compressed and on what it is scored, `parts` keeps the examples to
choose on apart from those to prove on, `bench` makes candidates and measures them, `search` decides
which, `compress` proves the chosen one, and `leave` writes what the user takes away.
"""

from __future__ import annotations

from prunecli.pipelines.compress.compress import compress

__all__ = ["compress"]

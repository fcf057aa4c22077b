"""What one process of the tests does once and not again for each command that it is asked for.

None of it is what is tested: the same results, sooner.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import pytest


@contextmanager
def spared() -> Iterator[None]:
    """Within the block things that are the same each time are made once."""
    with pytest.MonkeyPatch.context() as patch:
        _generated_once(patch)
        _commands_once(patch)
        # Its waiting is most of a small write; no machine stops between two tests.
        patch.setattr(os, "fsync", lambda handle: None)
        _imports_uncollected()
        yield
        gc.unfreeze()


def _generated_once(patch: pytest.MonkeyPatch) -> None:
    """The examples of ``--demo``, a second of work each time."""
    from prunecli.data.generated import generate

    module: Any = __import__("prunecli.data.generated.generate", fromlist=["generate"])
    patch.setattr(module, "generate", lru_cache(maxsize=16)(generate))


def _commands_once(patch: pytest.MonkeyPatch) -> None:
    """What Typer makes of the signatures of all commands, whichever is called."""
    import typer.main

    made = lru_cache(maxsize=4)(typer.main.get_command)
    patch.setattr(typer.main, "get_command", made)


def _imports_uncollected() -> None:
    """Each training collects garbage as it starts, and would go through all that was imported."""
    import torch
    import transformers.trainer  # noqa: F401

    assert torch
    gc.collect()
    gc.freeze()

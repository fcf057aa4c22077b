"""What one process of the tests does once and not again for each command that it is asked for.

None of it is what is tested: the same results, sooner.
"""

from __future__ import annotations

import gc
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def spared(shared: Path) -> Iterator[None]:
    """Within the block things that are the same each time are made once.

    ``shared`` is a folder that all processes of a test run have.
    """
    with pytest.MonkeyPatch.context() as patch:
        _generated_once(patch)
        _commands_once(patch)
        _onnx_once(patch, shared)
        patch.setattr("prunecli.reporting.writing.image", _undrawn)
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
    """What Typer makes of the signatures of all commands, whichever is called.

    Each remembers its option for help as its first caller named it, ``-h`` or not.
    """
    import typer.main

    made = lru_cache(maxsize=4)(typer.main.get_command)

    def get_command(app: Any) -> Any:
        command = made(app)
        _forget_help(command)
        return command

    patch.setattr(typer.main, "get_command", get_command)


def _forget_help(command: Any) -> None:
    command._help_option = None
    for inner in getattr(command, "commands", {}).values():
        _forget_help(inner)


def _onnx_once(patch: pytest.MonkeyPatch, shared: Path) -> None:
    """The ONNX file of a model, whose tracing takes seconds: once for the same model."""
    from prunecli.onnxfile import write

    def write_onnx(model: Any, path: Path, folder: Path | None = None) -> None:
        names = write.input_names(model, folder)
        told = sha256(f"{names} {model!r} {model.config.to_json_string()}".encode())
        for name, tensor in model.state_dict().items():
            told.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            told.update(tensor.detach().float().contiguous().numpy().tobytes())
        kept = shared / f"{told.hexdigest()}.onnx"
        if not kept.exists():
            made = shared / secrets.token_hex(8)
            traced(model, made, folder)
            made.replace(kept)
        shutil.copyfile(kept, path)

    traced = write.write_onnx
    patch.setattr(write, "write_onnx", write_onnx)


def _undrawn(_: Any, suffix: str) -> bytes:
    """In place of a figure as a file, a second of work; the fixture ``drawn`` gives real ones."""
    return b"\x89PNG\r\n\x1a\n" if suffix == ".png" else b"<svg/>"


def _imports_uncollected() -> None:
    """Each training collects garbage as it starts, and would go through all that was imported."""
    import torch
    import transformers.trainer  # noqa: F401

    assert torch
    gc.collect()
    gc.freeze()

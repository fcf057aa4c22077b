"""Adapters of ``peft`` in a model folder: they are no part of the model that is read."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prunecli.errors import InputError
from prunecli.models.weightfiles import weight_files

_CONFIG: Final = "adapter_config.json"
_WEIGHTS: Final = "adapter_model"
_MERGE: Final = (
    "AutoPeftModelForSequenceClassification.from_pretrained(FOLDER).merge_and_unload()"
    ".save_pretrained(NEW)"
)


def adapter_files(folder: Path) -> list[Path]:
    """The files of an adapter in ``folder``, whatever else is there."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and (path.name == _CONFIG or path.name.startswith(f"{_WEIGHTS}."))
    ]


def check_not_alone(folder: Path) -> None:
    """Raise `InputError` for a folder that holds an adapter and no weights beside it."""
    found = adapter_files(folder)
    if not found or weight_files(folder):
        return
    base = _base(folder)
    raise InputError(
        f"{folder} holds only a peft adapter ({found[-1].name})"
        + (f" for {base}" if base else "")
        + ", and no whole model",
        hint=f"merge it first: {_MERGE.replace('FOLDER', repr(str(folder)))}",
    )


def adapter_notice(name: str) -> str | None:
    """What to tell of an adapter beside the weights in a model folder; ``None`` where none is."""
    found = adapter_files(Path(name))
    if not found:
        return None
    return (
        f"{name} has a peft adapter ({found[-1].name}) beside its weights, which is left out: "
        "to have it in, merge it (merge_and_unload) and save the result"
    )


@contextmanager
def without_adapter(name: str) -> Iterator[str]:
    """The folder ``name`` without an adapter in it; anything else as it is.

    The library puts an adapter on where ``peft`` is installed, so that answers would depend on it.
    """
    left_out = {path.name for path in adapter_files(Path(name))}
    if not left_out:
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        for path in Path(name).iterdir():
            if path.name not in left_out:
                (Path(temporary) / path.name).symlink_to(path.resolve())
        yield temporary


def _base(folder: Path) -> str:
    """The model that the adapter says it is for, if it does."""
    try:
        said = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    base = said.get("base_model_name_or_path") if isinstance(said, dict) else None
    return base if isinstance(base, str) else ""

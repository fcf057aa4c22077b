"""Prune Hugging Face text classifiers, and know exactly what it cost.

The library without the command line: `plan` finds what to remove from a model, `Mask` removes it
and keeps it removed, `prune_` does both at once, `cut_units_` cuts whole heads and neurons out,
`achieved` counts what a model really has;
`compress` makes a model smaller and faster and says what that cost;
`Workspace` reads finished runs, `load` gets a model out of whatever it was kept in, `pack` and
`unpack` make one small file of a model folder and the folder of that file.
Names are imported when they are first used, so that ``import prunecli`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Evidence": "prunecli.core.evidence",
    "Mask": "prunecli.core.mask",
    "PackSettings": "prunecli.packed.settings",
    "PruneError": "prunecli.errors",
    "RunRecord": "prunecli.records.runs",
    "Workspace": "prunecli.store.workspace",
    "compress": "prunecli.pipelines.compress.api",
    "cut_units_": "prunecli.core.structured",
    "achieved": "prunecli.core.engine",
    "load": "prunecli.runtimes.opening",
    "load_mask": "prunecli.store.masks",
    "load_predictions": "prunecli.store.predictions",
    "pack": "prunecli.packed.folder",
    "plan": "prunecli.core.engine",
    "prunable": "prunecli.core.scope",
    "prune_": "prunecli.core.engine",
    "save_mask": "prunecli.store.masks",
    "unpack": "prunecli.packed.folder",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'prunecli' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])

"""Packages that only some commands need, imported when they do."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from prunecli.errors import InputError


def needed(module: str, *, extra: str, purpose: str) -> ModuleType:
    """A module of an optional package; `InputError` that says how to install it.

    ``extra`` is the extra of this package that brings it, ``purpose`` begins the sentence.
    """
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"{purpose} needs the package {module.partition('.')[0]}, which is not installed",
            hint=f"pip install 'prunecli[{extra}]'",
        ) from None

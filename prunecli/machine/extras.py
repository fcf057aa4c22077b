"""Packages that only some commands need, imported when they do."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from shutil import which
from types import ModuleType

from prunecli.errors import InputError

ONNX = ("onnx", "onnxscript", "onnxruntime")
"""Modules of what the extra ``onnx`` brings: to write an ONNX file, and to get its answers."""


def installed(*modules: str) -> bool:
    """Whether all these top-level modules are there; none is imported."""
    return all(find_spec(module) for module in modules)


def needed(module: str, *, extra: str, purpose: str) -> ModuleType:
    """A module of an optional package; `InputError` that says how to install it.

    ``extra`` is the extra of this package that brings it, ``purpose`` begins the sentence.
    """
    try:
        return import_module(module)
    except ImportError:
        raise _missing(module, extra, purpose) from None


def compiler() -> str | None:
    """Path of a C++ compiler, which ``torch.compile`` needs; ``None`` where there is none."""
    named = os.environ.get("CXX")
    names = (named,) if named else ("g++", "clang++", "c++", "cl")
    return next(filter(None, map(which, names)), None)


def check_installed(module: str, *, extra: str, purpose: str) -> None:
    """Raise the `InputError` of `needed` where a package is missing; nothing is imported."""
    if not installed(module):
        raise _missing(module, extra, purpose)


def _missing(module: str, extra: str, purpose: str) -> InputError:
    return InputError(
        f"{purpose} needs the package {module.partition('.')[0]}, which is not installed",
        hint=f"pip install 'prunecli[{extra}]'",
    )

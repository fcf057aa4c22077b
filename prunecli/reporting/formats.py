"""The formats a report can be written in, by the name given to ``--format``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prunecli.registry import Registry

if TYPE_CHECKING:
    from prunecli.reporting.report import Report

FORMATS: Registry[Callable[[Report], str]] = Registry("report format")
"""Name, which is also the file's ending, to function from a report to its text."""

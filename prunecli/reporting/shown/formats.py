"""The formats a report can be written in, by the name given to ``--format``."""

from __future__ import annotations

from collections.abc import Callable

from prunecli.registry import Registry
from prunecli.reporting.report import Report

FORMATS: Registry[Callable[[Report], str]] = Registry(
    "report format",
    "report_formats",
    lambda name, entry: None if callable(entry) else "cannot be called with a report",
)
"""Name to function from a report to the text of its file, next to which its figures lie."""
_ENDINGS = {"latex": "tex", "summary": "summary.md", "junit": "junit.xml"}


def file_name(name: str) -> str:
    """Name of the file of a report in the format ``name``, after which most files are called."""
    return f"report.{_ENDINGS.get(name, name)}"

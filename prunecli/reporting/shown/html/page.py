"""The HTML file, put together from its template, style, scripts and data."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from prunecli.reporting.report import Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.shown.html.data import page_data
from prunecli.reporting.shown.story import left_out

_HERE = Path(__file__).parent
_LIBRARY = "vendor/plotly-cartesian.min.js"
_SCRIPTS = (
    "dom.js",
    "tables.js",
    "plot.js",
    "methods.js",
    "overlays.js",
    "curves.js",
    "layers.js",
    "page.js",
)
"""The page's own, in the order in which they build on one another; one scope holds them all."""

_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""No request to anywhere, and no script but ours. The library draws heat maps as ``data:`` images
and styles what it draws."""

_BREAKING = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
"""Letters that could end a script or open a comment, as JSON may write them, too."""


@FORMATS.register("html")
def render_html(report: Report) -> str:
    """The whole report as one page: every style, script and number is inside."""
    library = _read(_LIBRARY)
    script = "\n".join(_read(f"js/{name}") for name in _SCRIPTS)
    data = page_data(report)
    return Template(_read("page.html")).substitute(
        policy=_POLICY.format(scripts=f"{_source(library)} {_source(script)}"),
        style=_read("page.css"),
        data=embedded(data),
        unread="".join(_warning(one.text) for one in left_out(report.unread)),
        library=library,
        script=script,
    )


def _warning(text: str) -> str:
    return f'\n  <p class="warning" role="note">{escape(text)}</p>'


def embedded(value: Any) -> str:
    """``value`` as JSON in ASCII that nothing in it can lead out of a script element."""
    found = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for letter, written in _BREAKING.items():
        found = found.replace(letter, written)
    return found


@cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _source(script: str) -> str:
    """The source of a policy that allows exactly this inline script."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

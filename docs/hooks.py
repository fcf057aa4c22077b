"""For mkdocs: what the pages link to outside of this folder is named, not linked to."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?!results/|figures/)[^)]*\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Pages in ``results/`` link up to those here, which stay links."""
    inside = page.file.src_uri.startswith("results/")

    def named(found: re.Match[str]) -> str:
        up = found[0].count("../")
        return found[0] if inside and up == 1 else found[1]

    return _OUTSIDE.sub(named, markdown)

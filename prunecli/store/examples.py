"""Texts of evaluated examples as a JSON Lines file, so that a report can show them.

One line an example: ``{"index": 17, "texts": {"sentence": "…"}}``, with the index by which
predictions name it and its texts by the names of their columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from prunecli.errors import InputError, IntegrityError

EXAMPLES_FORMAT: Final = 1
LONGEST: Final = 500
"""Characters of a text that are kept, the mark of the cut among them."""


def example_line(index: int, texts: Mapping[str, str]) -> str:
    """One example as its line, texts longer than `LONGEST` cut and marked with ``…``."""
    kept = {
        name: text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        for name, text in texts.items()
    }
    return json.dumps({"index": index, "texts": kept}, ensure_ascii=False) + "\n"


def read_examples(path: Path) -> dict[int, dict[str, str]]:
    """Texts by column name, by index; empty where there is no such file.

    Raises `InputError` for a file that cannot be read and `IntegrityError` for one that holds
    something else.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            return dict(_example(line) for line in file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise IntegrityError(
            f"the texts in {path} cannot be read",
            hint="remove this file; it is written again when the next run is scored",
        ) from None


def _example(line: str) -> tuple[int, dict[str, str]]:
    match json.loads(line):
        case {"index": int(index), "texts": dict(texts)} if all(
            isinstance(text, str) for text in texts.values()
        ):
            return index, texts
    raise ValueError("not an example")

"""Whether a classifier is given the numbers of segments, as its tokenizer gives them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Final

from prunecli.models.tokenizerfiles import has_vocabulary

SEGMENTS: Final = "token_type_ids"


def reads_segments(kind: type, config: Any, folder: Path | None = None) -> bool:
    """Whether the answers of a model of this class depend on the numbers of segments.

    Where it has a table of them, of more than one row. GPT-2, XLM and their like have none and add
    their word embeddings at those numbers: they do where the tokenizer in ``folder`` gives any, and
    without a folder they do not.
    """
    if SEGMENTS not in inspect.signature(kind.forward).parameters:  # type: ignore[attr-defined]
        return False
    rows = getattr(config, "type_vocab_size", None)
    if rows is not None:
        return bool(rows > 1)
    if folder is None or not has_vocabulary(folder):
        return False
    from prunecli.models.loading import load_tokenizer

    return SEGMENTS in load_tokenizer(str(folder)).model_input_names

"""Generated tasks: what ``--demo`` runs on, without network and downloads.

Small grammars make sentences in the shape of the GLUE tasks. The label follows from the sentence
by rule, no single word gives it away, and a tiny DistilBERT learns it in seconds.
"""

from __future__ import annotations

from prunecli.data.generated.generate import Generated, generate
from prunecli.data.generated.model import tiny_model
from prunecli.data.generated.settings import DEMO_MODEL, DEMO_TRAINING
from prunecli.data.generated.tokenizer import build_tokenizer

__all__ = [
    "DEMO_MODEL",
    "DEMO_TRAINING",
    "Generated",
    "build_tokenizer",
    "generate",
    "tiny_model",
]

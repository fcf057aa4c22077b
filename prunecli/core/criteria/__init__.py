"""Importance criteria: one small module each, filed in `CRITERIA` under the name users type."""

from __future__ import annotations

from prunecli.core.criteria import magnitude, random
from prunecli.core.criteria.base import CRITERIA, Criterion, Scores

__all__ = ["CRITERIA", "Criterion", "Scores", "magnitude", "random"]

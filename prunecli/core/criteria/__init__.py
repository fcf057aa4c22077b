"""Importance criteria: one small module each, filed in `CRITERIA` under the name users type."""

from __future__ import annotations

# They are registered in this order, which the help shows.
# isort: off
from prunecli.core.criteria import (  # noqa: F401
    magnitude,
    random,
    snip,
    grasp,
    taylor,
    fisher,
    wanda,
    reconstruction,
    movement,
)

# isort: on
from prunecli.core.criteria.base import CRITERIA, Criterion, Scores, from_data

__all__ = ["CRITERIA", "Criterion", "Scores", "from_data"]

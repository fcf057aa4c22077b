"""Importance criteria: one small module each, filed in `CRITERIA` under the name users type."""

from __future__ import annotations

# They are registered in this order, which the help shows.
# isort: off
from prunecli.core.criteria import (
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
from prunecli.core.criteria.base import CRITERIA, Criterion, Scores

__all__ = [
    "CRITERIA",
    "Criterion",
    "Scores",
    "fisher",
    "grasp",
    "magnitude",
    "movement",
    "random",
    "reconstruction",
    "snip",
    "taylor",
    "wanda",
]

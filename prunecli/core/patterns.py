"""Patterns: which weights go together, as the text that users type and the rules behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prunecli.errors import UsageError
from prunecli.registry import did_you_mean

PATTERNS = ("unstructured", "2:4", "N:M", "block:RxC")
"""What can be typed, for help and suggestions; N, M, R and C stand for numbers."""

_GROUP = re.compile(r"([0-9]{1,6}):([0-9]{1,6})")
_BLOCK = re.compile(r"block:([0-9]{1,6})x([0-9]{1,6})")
_ROUNDING = 1e-6
"""How far a level may be above that of the pattern: 0.666667 is meant for 1:3."""


@dataclass(frozen=True)
class Pattern:
    """Weight matrices are cut into units, tiles of equal shape, and a unit is what goes.

    - ``unstructured``: a unit is one weight.
    - ``N:M``: a unit is M consecutive inputs of one output; it goes by losing its M − N lowest
      weights, the first of equal ones. 2:4: Mishra, Latorre, Pool, Stosic, Stosic, Venkatesh, Yu &
      Micikevicius, "Accelerating sparse deep neural networks", 2021; N:M: Zhou, Ma, Zhu, Liu,
      Zhang, Yuan, Sun & Li, "Learning N:M fine-grained structured sparse neural networks from
      scratch", ICLR 2021.
    - ``block:RxC``: a unit is a tile of R outputs and C inputs, and goes as a whole. Narang,
      Undersander & Diamos, "Block-sparse recurrent neural networks", 2017; Lagunas, Charlaix, Sanh
      & Rush, "Block pruning for faster transformers", EMNLP 2021.
    """

    text: str
    """How it is written."""
    rows: int = 1
    """Outputs that a unit spans."""
    columns: int = 1
    """Inputs that a unit spans."""
    keeps: int = 0
    """Weights that are left of a unit that goes; where it is not 0, ``rows`` is 1."""

    def __str__(self) -> str:
        return self.text

    @property
    def size(self) -> int:
        """Weights in a unit."""
        return self.rows * self.columns

    @property
    def removes(self) -> int:
        """Weights that a unit loses when it goes."""
        return self.size - self.keeps

    @property
    def is_unstructured(self) -> bool:
        """Whether every weight stands for itself."""
        return self.size == 1

    @property
    def fixed_level(self) -> float | None:
        """The one sparsity at which every unit is gone: 1 − N/M; None where any level will do."""
        return self.removes / self.size if self.keeps else None

    def unit_level(self, level: float) -> float:
        """The fraction of the units that goes at sparsity ``level``.

        Raises `UsageError` for a level above the pattern's own.
        """
        most = self.removes / self.size
        if level > most + _ROUNDING:
            raise UsageError(
                f"pattern {self} removes at most {most:.4g} of the weights, not {level:g}",
                hint=f"lower the level to {most:g}, or use another pattern",
            )
        return min(level / most, 1.0)

    def check(self, name: str, shape: Sequence[int]) -> None:
        """Raise `UsageError` naming the tensor unless units fill ``shape`` [outputs, inputs]."""
        for count, side, what in zip(
            shape, (self.rows, self.columns), ("outputs", "inputs"), strict=True
        ):
            if count % side:
                raise UsageError(
                    f"'{name}' has {count} {what}, which pattern {self} cannot divide by {side}",
                    hint=f"use a pattern whose size divides {count}, or unstructured",
                )


UNSTRUCTURED = Pattern("unstructured")


def parse_pattern(text: str) -> Pattern:
    """The pattern that ``text`` describes; `UsageError` with a hint where it describes none."""
    if text == UNSTRUCTURED.text:
        return UNSTRUCTURED
    if group := _GROUP.fullmatch(text):
        return _group(*map(int, group.groups()))
    if block := _BLOCK.fullmatch(text):
        return _block(*map(int, block.groups()))
    raise UsageError(f"unknown pattern '{text}'", hint=did_you_mean(text, PATTERNS))


def _group(keeps: int, columns: int) -> Pattern:
    text = f"{keeps}:{columns}"
    if 0 < keeps < columns:
        return Pattern(text, columns=columns, keeps=keeps)
    if keeps == columns:
        problem = f"pattern {text} removes nothing"
    elif keeps > columns:
        problem = f"pattern {text} keeps more weights than there are in a group"
    else:
        problem = f"pattern {text} keeps nothing"
    hint = "N:M keeps N of M consecutive inputs, with 0 < N < M, as in 2:4"
    if 0 < columns < keeps:
        hint = f"did you mean '{columns}:{keeps}'? {hint}"
    raise UsageError(problem, hint=hint)


def _block(rows: int, columns: int) -> Pattern:
    text = f"block:{rows}x{columns}"
    if not rows or not columns:
        raise UsageError(
            f"pattern {text} has blocks without weights",
            hint="block:RxC removes tiles of R outputs and C inputs, as in block:16x16",
        )
    return Pattern(text, rows=rows, columns=columns)

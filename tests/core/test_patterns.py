"""What can be typed as a pattern, and what it allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.core.patterns import PATTERNS, UNSTRUCTURED, Pattern, parse_pattern
from prunecli.errors import UsageError

from .models import quick

N_OF_M = "N:M keeps N of M consecutive inputs, with 0 < N < M, as in 2:4"
TILES = "block:RxC removes tiles of R outputs and C inputs, as in block:16x16"
COUNTS = st.integers(1, 999_999)


def test_unstructured_is_one_weight_by_itself() -> None:
    pattern = parse_pattern("unstructured")

    assert pattern == UNSTRUCTURED
    assert pattern.is_unstructured
    assert (pattern.size, pattern.removes, pattern.fixed_level) == (1, 1, None)


@quick
@given(keeps=COUNTS, more=COUNTS)
def test_groups_keep_n_of_m_inputs(keeps: int, more: int) -> None:
    columns = min(keeps + more, 999_999)
    if keeps == columns:
        return
    pattern = parse_pattern(f"{keeps}:{columns}")

    assert str(pattern) == f"{keeps}:{columns}"
    assert (pattern.rows, pattern.columns, pattern.keeps) == (1, columns, keeps)
    assert (pattern.size, pattern.removes) == (columns, columns - keeps)
    assert pattern.fixed_level == (columns - keeps) / columns
    assert pattern.unit_level(pattern.fixed_level) == 1
    assert not pattern.is_unstructured


@quick
@given(rows=COUNTS, columns=COUNTS)
def test_blocks_keep_nothing(rows: int, columns: int) -> None:
    pattern = parse_pattern(f"block:{rows}x{columns}")

    assert str(pattern) == f"block:{rows}x{columns}"
    assert (pattern.rows, pattern.columns, pattern.keeps) == (rows, columns, 0)
    assert pattern.size == pattern.removes == rows * columns
    assert pattern.fixed_level is None
    assert pattern.is_unstructured == (rows == columns == 1)


def test_the_same_pattern_has_one_text() -> None:
    assert parse_pattern("02:004") == parse_pattern("2:4")
    assert parse_pattern("block:04x2") == parse_pattern("block:4x2")


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("4:2", "keeps more weights than there are in a group", f"did you mean '2:4'? {N_OF_M}"),
        ("2:1", "keeps more weights than there are in a group", f"did you mean '1:2'? {N_OF_M}"),
        ("4:0", "keeps more weights than there are in a group", N_OF_M),
        ("0:4", "keeps nothing", N_OF_M),
        ("4:4", "removes nothing", N_OF_M),
        ("0:0", "removes nothing", N_OF_M),
        ("block:0x4", "has blocks without weights", TILES),
        ("block:4x0", "has blocks without weights", TILES),
    ],
)
def test_patterns_that_make_no_sense_are_refused(text: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pattern(text)
    assert str(caught.value) == f"pattern {text} {problem}"
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("unstructurd", "did you mean 'unstructured'?"),
        ("block", "did you mean 'block:RxC'?"),
        ("2-4", "did you mean '2:4'?"),
        ("-2:4", "did you mean '2:4'?"),
        ("2:4 ", "did you mean '2:4'?"),
        ("2:4:8", "did you mean '2:4'?"),
        ("٢:٤", "known"),
        ("block:4", "did you mean 'block:RxC'?"),
        ("block:1000000x4", "known"),
        ("", f"known: {', '.join(sorted(PATTERNS))}"),
    ],
)
def test_unknown_patterns_are_refused_with_a_suggestion(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pattern(text)
    assert str(caught.value) == f"unknown pattern '{text}'"
    assert (caught.value.hint or "").startswith(hint)


@quick
@given(st.floats(0, 1, exclude_max=True))
def test_levels_are_shares_of_the_weights(level: float) -> None:
    assert UNSTRUCTURED.unit_level(level) == level
    assert parse_pattern("block:4x2").unit_level(level) == level

    group = parse_pattern("1:4")
    if level <= 0.75:
        assert group.unit_level(level) == pytest.approx(level / 0.75)
    elif level > 0.7501:
        with pytest.raises(UsageError, match=r"^pattern 1:4 removes at most 0\.75 of the weights"):
            group.unit_level(level)


def test_a_rounded_level_is_that_of_the_pattern() -> None:
    assert parse_pattern("1:3").unit_level(0.666667) == 1
    assert parse_pattern("2:4").unit_level(0.5 + 1e-6) == 1
    with pytest.raises(UsageError) as caught:
        parse_pattern("1:3").unit_level(0.6667)
    assert str(caught.value) == "pattern 1:3 removes at most 0.6667 of the weights, not 0.6667"
    assert caught.value.hint == "lower the level to 0.666667, or use another pattern"


@pytest.mark.parametrize(
    ("pattern", "shape", "problem"),
    [
        (Pattern("2:4", columns=4, keeps=2), (3, 6), "6 inputs, which pattern 2:4 cannot divide"),
        (Pattern("block:2x3", 2, 3), (3, 6), "3 outputs, which pattern block:2x3 cannot divide"),
        (Pattern("block:3x4", 3, 4), (3, 6), "6 inputs, which pattern block:3x4 cannot divide"),
    ],
)
def test_shapes_that_a_pattern_does_not_divide_are_refused_by_name(
    pattern: Pattern, shape: tuple[int, int], problem: str
) -> None:
    with pytest.raises(UsageError, match=rf"^'a\.weight' has {problem} by \d$") as caught:
        pattern.check("a.weight", shape)
    count = problem.partition(" ")[0]
    assert caught.value.hint == f"use a pattern whose size divides {count}, or unstructured"

    pattern.check("a.weight", (12, 12))
    pattern.check("a.weight", (0, 12))
    UNSTRUCTURED.check("a.weight", shape)

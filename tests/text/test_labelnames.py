"""What a label says: a name, else a place; and a model's labels as those of a task."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.text.labelnames import outputs, place, spellings


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (1, "1"),
        (1, "1.0"),
        (1.0, "1"),
        (1.0, "1.0"),
        ("1.0", "1"),
        ("1", "1.0"),
        (-1, "-1"),
        (2.5, "2.5"),
        (Decimal("3.00"), "3"),
        (True, "true"),
        (False, "FALSE"),
        ("True", "true"),
        ("LABEL_1", "LABEL_1"),
        ("US", "US"),
    ],
)
def test_a_label_spells_a_name(label: object, name: str) -> None:
    assert name in spellings(label)


@pytest.mark.parametrize(
    ("label", "name"),
    [("US", "us"), (1, "01"), ("01", "1"), (True, "1"), (1, "true"), (2.5, "2"), (None, "None")],
)
def test_a_label_does_not_spell_another_name(label: object, name: str) -> None:
    assert name not in spellings(label)


@pytest.mark.parametrize(
    ("label", "number"),
    [
        (0, 0),
        (3.0, 3),
        ("7", 7),
        ("LABEL_2", 2),
        ("label 2", 2),
        ("Class-2", 2),
        ("class2", 2),
        (-1, None),
        (1.5, None),
        (True, None),
        ("", None),
        (None, None),
        ([1], None),
        ("01", None),
        ("star 1", None),
        ("٣", None),
    ],
)
def test_places(label: object, number: int | None) -> None:
    assert place(label) == number


@pytest.mark.parametrize(
    ("labels", "names", "order"),
    [
        (["us", "US"], ["US", "us"], [1, 0]),
        (["Positive", "NEGATIVE"], ["negative", "positive"], [1, 0]),
        (["Not Duplicate", "duplicate"], ["duplicate", "not_duplicate"], [1, 0]),
        (["0", "1"], ["1", "0"], [1, 0]),  # numbers that are names
        (["LABEL_0", "LABEL_1"], ["LABEL_1", "LABEL_0"], [1, 0]),
    ],
)
def test_outputs_by_name(labels: list[object], names: list[str], order: list[int]) -> None:
    found = outputs(labels, names)
    assert found is not None
    assert (found.order, found.by_place) == (order, False)


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["0", "1", "2"], [0, 1, 2]),
        ([0, 1, 2], [0, 1, 2]),
        (["2", "0", "1"], [1, 2, 0]),  # the first output is of the last class
        (["LABEL_0", "LABEL_1", "LABEL_2"], [0, 1, 2]),
        (["class 1", "class 2", "class 3"], [0, 1, 2]),  # counted from 1
        (["3", "2", "1"], [2, 1, 0]),
    ],
)
def test_outputs_by_place(labels: list[object], order: list[int]) -> None:
    found = outputs(labels, ["bad", "fair", "good"])
    assert found is not None
    assert (found.order, found.by_place) == (order, True)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["neg", "pos"], ["negative", "positive"]),
        (["US", "Us"], ["us", "US"]),  # which of them 'Us' is, nobody knows
        (["0", "1", "2"], ["1", "2", "3"]),  # names and a number that is none
        (["bad", "1"], ["bad", "good"]),
        (["1", "1"], ["bad", "good"]),
        (["2", "3"], ["bad", "good"]),
        (["same", "same"], ["same", "other"]),
    ],
)
def test_no_outputs_where_nothing_is_sure(labels: list[object], names: list[str]) -> None:
    assert outputs(labels, names) is None


@given(
    st.lists(st.text(), min_size=2, max_size=6, unique=True).flatmap(
        lambda names: st.tuples(st.just(names), st.permutations(names))
    )
)
def test_a_model_s_own_names_are_always_found(case: tuple[list[str], list[str]]) -> None:
    names, labels = case
    found = outputs(labels, names)
    assert found is not None
    assert [labels[output] for output in found.order] == names
    assert not found.by_place

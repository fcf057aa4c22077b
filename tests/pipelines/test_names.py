"""A run's name is its specification: these names are kept for as long as the record format is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.records.cuts import Cut
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    DerivedSpec,
    DistillationSpec,
    EvaluationSpec,
    PrunedSpec,
    TrainingSpec,
    run_name,
    same_level,
)

DATA = "45b7aa01337e6941d343b7c56bb2e7f1531dfc7adc21b7552d3e7641a4247c14"
DENSE = BaselineSpec(task="sst2", model="distilbert-base-uncased", data=DATA)
PRUNED = PrunedSpec(
    task="sst2",
    source="sst2-baseline-s42-00000000",
    data=DATA,
    strategy="global",
    criterion="magnitude",
    level=0.7,
)
CUT = CutSpec(
    task="sst2",
    source="sst2-baseline-s0-e57b7480",
    data="cb4b9c140542c84b8ea723882c8e68d8d7b9ae8b64605d2670fa2234e4ea768f",
    strategy="global",
    criterion="reconstruction",
    seed=0,
    max_seq_length=16,
    calibration_samples=16,
    cut=Cut(heads=0.5, neurons=0.5),
)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (DENSE, "sst2-baseline-s42-2048b1fb"),
        (DENSE.model_copy(update={"seed": 1}), "sst2-baseline-s1-64c77dc3"),
        (DENSE.model_copy(update={"training": None}), "sst2-baseline-s42-fb0ddbcb"),
        (
            DENSE.model_copy(update={"model": "demo", "max_seq_length": 48}),
            "sst2-baseline-s42-2d6bd95f",
        ),
        (PRUNED, "sst2-global-magnitude-70-s42-ea94432e"),
        (
            PRUNED.model_copy(update={"strategy": "layerwise", "level": 0.55}),
            "sst2-layerwise-magnitude-55-s42-188b1ffd",
        ),
        (
            PRUNED.model_copy(update={"evaluation": EvaluationSpec(max_eval_samples=100)}),
            "sst2-global-magnitude-70-s42-7e76bbe4",
        ),
        (
            PRUNED.model_copy(
                update={"recovery": TrainingSpec(epochs=4.0), "schedule": "polynomial"}
            ),
            "sst2-global-magnitude-70-e4-s42-4d93f7ba",
        ),
        (
            PRUNED.model_copy(update={"criterion": "wanda", "calibration_samples": 512}),
            "sst2-global-wanda-70-s42-90cfbfb6",
        ),
        (
            PRUNED.model_copy(update={"pattern": "2:4", "level": 0.5}),
            "sst2-global-magnitude-2_4-50-s42-de80aba8",
        ),
        (
            PRUNED.model_copy(update={"pattern": "block:16x16"}),
            "sst2-global-magnitude-block_16x16-70-s42-90c637a8",
        ),
        (
            PRUNED.model_copy(
                update={"recovery": TrainingSpec(epochs=2.0, rewind_every="1ep"), "delay": "1ep"}
            ),
            "sst2-global-magnitude-70-e2-s42-4d8e5723",
        ),
        (
            PRUNED.model_copy(
                update={"recovery": TrainingSpec(epochs=2.0), "distillation": DistillationSpec()}
            ),
            "sst2-global-magnitude-70-e2-s42-5f09f408",
        ),
        (
            PRUNED.model_copy(
                update={
                    "recovery": TrainingSpec(epochs=2.0),
                    "first_criterion": "wanda",
                    "keep": "best",
                }
            ),
            "sst2-global-magnitude-70-e2-s42-373d6200",
        ),
        (
            PRUNED.model_copy(
                update={
                    "recovery": TrainingSpec(epochs=2.0),
                    "chain": (0.5, 0.6, 0.7),
                    "after": "before",
                }
            ),
            "sst2-global-magnitude-70-e2-s42-e04070da",
        ),
        (CUT, "sst2-global-reconstruction-h50-n50-s0-fa4f9897"),
        (
            CUT.model_copy(
                update={
                    "criterion": "magnitude",
                    "cut": Cut(heads=0.5, neurons=0.25, refit=False),
                    "recovery": TrainingSpec(epochs=1.0),
                    "calibration_samples": None,
                }
            ),
            "sst2-global-magnitude-h50-n25-e1-s0-acd5b941",
        ),
    ],
)
def test_pinned_names(spec: BaselineSpec | DerivedSpec, name: str) -> None:
    assert run_name(spec) == name


def test_defaults_written_out_are_the_same_run() -> None:
    """So a setting that is added with a default leaves old runs findable."""
    spelled = DENSE.model_copy(update={"training": TrainingSpec(epochs=3.0), "seed": 42})
    assert run_name(spelled) == run_name(DENSE)
    again = BaselineSpec.model_validate_json(DENSE.model_dump_json())
    assert run_name(again) == run_name(DENSE)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "level": st.floats(0, 0.99),
        "seed": st.integers(0, 9),
        "strategy": st.sampled_from(["global", "layerwise"]),
        "source": st.sampled_from(["a", "b"]),
        "recovery": st.sampled_from([TrainingSpec(epochs=1), TrainingSpec(epochs=2)]),
        "evaluation": st.just(EvaluationSpec(max_eval_samples=5)),
        "pattern": st.sampled_from(["2:4", "1:4", "block:4x4"]),
        "calibration_samples": st.sampled_from([64, 512]),
        "distillation": st.sampled_from([DistillationSpec(), DistillationSpec(hardness=0.5)]),
        "chain": st.sampled_from([(0.5, 0.6), (0.5, 0.6, 0.7)]),
        "after": st.just("before"),
    },
)


@given(CHANGES, CHANGES)
def test_different_requests_have_different_names(one: dict[str, Any], two: dict[str, Any]) -> None:
    a, b = PRUNED.model_copy(update=one), PRUNED.model_copy(update=two)
    assert (run_name(a) == run_name(b)) == (a == b)


@given(st.text(min_size=1, max_size=30), st.floats(0, 0.999))
def test_a_name_is_a_plain_file_name(task: str, level: float) -> None:
    name = run_name(PRUNED.model_copy(update={"task": task, "level": level}))
    assert name.isascii()
    assert not set(name) & set("/\\ \n\0:")


def test_levels_are_the_same_however_their_fractions_were_computed() -> None:
    assert same_level(0.1 + 0.2, 0.3)
    assert same_level(1 - 2 / 3, 0.3333333333)
    assert not same_level(0.5, 0.50000001)


@pytest.mark.parametrize("spec", [PRUNED, CUT])
def test_every_field_is_written_and_those_added_later_tell_runs_apart(spec: DerivedSpec) -> None:
    assert type(spec).model_fields.keys() <= spec.model_dump().keys()

    class Later(type(spec)):  # type: ignore[misc]
        added: int = 3

    same = Later(**{key: getattr(spec, key) for key in type(spec).model_fields})
    other = same.model_copy(update={"added": 9})
    assert run_name(same) == run_name(spec)
    assert other.model_dump()["added"] == 9
    assert run_name(other) != run_name(spec)

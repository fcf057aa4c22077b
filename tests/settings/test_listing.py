"""What is said on the fields of settings holds of what it is said about."""

from __future__ import annotations

from dataclasses import fields

import pytest

from prunecli.records.runs import (
    BaselineSpec,
    DistillationSpec,
    EvaluationSpec,
    PrunedSpec,
    TrainingSpec,
)
from prunecli.reporting.facts.results import Method
from prunecli.settings.listing import (
    GROWTH,
    OPTIONS,
    RECIPE_KEYS,
    RECOVERY_KEYS,
    SCHEDULED,
    keys,
    names_in,
    part_of_run,
)
from prunecli.settings.model import Settings
from prunecli.settings.option import PRUNING, RECOVERY, Option


@pytest.mark.parametrize(("key", "option"), OPTIONS.items(), ids=OPTIONS)
def test_every_option_is_whole(key: str, option: Option) -> None:
    assert option.about.endswith(".")
    assert option.times in ("", "pruning", "growth")
    if option.recipe:
        assert option.panel in (PRUNING, RECOVERY)
        assert option.run  # what a recipe says is in the name of the run
    if option.needs_recovery:
        assert option.panel == RECOVERY
    assert not (option.needs_cut and option.not_for_cuts)
    if option.times:
        assert option.needs_recovery
        assert option.not_for_cuts


def test_what_training_asks_is_what_its_specification_has() -> None:
    asked = {*names_in("training").values(), *names_in("recovery").values()}
    assert asked == set(TrainingSpec.model_fields)
    assert set(names_in("distillation").values()) == set(DistillationSpec.model_fields)
    assert set(names_in("evaluation").values()) == set(EvaluationSpec.model_fields)


def test_what_is_added_leaves_old_runs_findable() -> None:
    """What is not given leaves the specification as it is by default."""
    always = {"epochs", "learning_rate"}  # these a run always has from the settings
    for part in ("training", "recovery"):
        found = part_of_run(Settings(), part).items()
        default = TrainingSpec()
        assert {n: v for n, v in found if n not in always and v != getattr(default, n)} == {}


def test_what_stands_in_the_run_itself_is_there() -> None:
    own = {option.run for option in OPTIONS.values() if option.run and "." not in option.run}
    assert own <= set(PrunedSpec.model_fields) | set(BaselineSpec.model_fields)


def test_a_method_keeps_what_recovery_is_told() -> None:
    """Or two methods that differ in it would be taken for one."""
    own = {OPTIONS[key].run for key in RECOVERY_KEYS if "." not in OPTIONS[key].run}
    assert own <= {one.name for one in fields(Method)}


def test_the_values_of_a_part_go_by_its_own_names() -> None:
    found = part_of_run(Settings(epochs=2, recovery_dropout=0.25), "recovery")
    assert found["epochs"] == 2
    assert found["dropout"] == 0.25
    assert "recovery_dropout" not in found


def test_the_lists_that_are_derived() -> None:
    """Written out once more, since what is idle where is a contract with runs that exist."""
    assert GROWTH == ("initial_sparsity", "first_criterion", "update_every", "settle")
    assert set(SCHEDULED) == {"schedule", "delay", *GROWTH}
    trained = {"recovery_learning_rate", "lr_schedule", "rewind_every", "recovery_dropout"}
    taught = {"hardness", "temperature", "hidden_weight"}
    recovery = {*SCHEDULED, *trained, *taught, "keep"}
    assert set(RECOVERY_KEYS) == {*recovery, "teacher", "chained"}
    ranked = {"strategy", "criterion", "pattern", "calibration_samples"}
    assert set(RECIPE_KEYS) == {*ranked, "epochs", *recovery}
    idle = {"criterion", "pattern", "revive_zeros", "levels", "keep", "chained", *SCHEDULED}
    assert set(keys(lambda option: option.not_for_cuts)) == idle
    assert keys(lambda option: option.needs_cut) == ("unit_criterion", "refit")

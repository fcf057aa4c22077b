"""From words on the command line to settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from calling import Called
from hypothesis import given
from hypothesis import strategies as st

from prunecli.cli.parsing import repeat_options
from prunecli.settings.levels import DEFAULT_LEVELS
from prunecli.settings.model import Settings

Prune = Callable[..., Called]
SettingsOf = Callable[..., Settings]

SEVERAL = {"--levels", "--task"}


@pytest.fixture
def settings_of(
    prune: Prune, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Settings]:
    """The settings that a `prune sweep` would work by."""
    seen: list[Settings] = []

    class Nothing:
        def __init__(self, job: Any, *_: Any) -> None:
            seen.append(job.settings)

        def points(self) -> Iterator[Any]:
            yield from ()

        def place(self, _: Any) -> int:
            return 0

    monkeypatch.setattr("prunecli.pipelines.spread.Spread", Nothing)
    monkeypatch.setenv("PRUNE_WORKSPACE", str(tmp_path / "unused"))

    def settings(*arguments: object) -> Settings:
        done = prune("sweep", *arguments)
        assert done.code == 0, done.err
        return seen[-1]

    return settings


@pytest.mark.parametrize(
    "words",
    [
        "--levels 0.5 0.6 0.7 0.8",
        "--levels 0.5,0.6,0.7,0.8",
        "--levels 0.5, 0.6, 0.7, 0.8",
        "--levels 0.5 --levels 0.6 --levels 0.7 --levels 0.8",
        "--levels=0.5 0.6 --levels=0.7,0.8",
        "--levels 0.5:0.8:0.1",
        "--levels 0.5 0.6:0.8:0.1",
        "--levels .5 6e-1 0.70 0.8",
    ],
)
def test_the_forms_of_levels(settings_of: SettingsOf, words: str) -> None:
    found = settings_of(*words.split(), "--task", "sst2")
    assert found.levels == (0.5, 0.6, 0.7, 0.8)
    assert found.task == ("sst2",)


@pytest.mark.parametrize(
    "words", ["sst2 qqp", "sst2,qqp", "sst2 --task qqp", "sst2 --seed 1 --task qqp"]
)
def test_the_forms_of_tasks(settings_of: SettingsOf, words: str) -> None:
    assert settings_of("--task", *words.split()).task == ("sst2", "qqp")


def test_other_options_with_several_values(settings_of: SettingsOf) -> None:
    typed = "--task sst2 --strategy global,layerwise --criterion magnitude random --seed 1,2 3"
    found = settings_of(*typed.split())
    assert found.strategy == ("global", "layerwise")
    assert found.criterion == ("magnitude", "random")
    assert found.seed == (1, 2, 3)


def test_the_sweep_of_the_contract_as_typed(settings_of: SettingsOf) -> None:
    typed = "--task qqp --strategy layerwise --levels 0.5 0.6 0.7 0.8"
    found = settings_of(*typed.split())
    assert (found.task, found.strategy) == (("qqp",), ("layerwise",))
    assert found.levels == (0.5, 0.6, 0.7, 0.8)
    assert (found.data, found.model) == ("hub", "distilbert-base-uncased")


def test_defaults_of_the_contract(settings_of: SettingsOf) -> None:
    found = settings_of("--task", "sst2")
    assert found.levels == DEFAULT_LEVELS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
    assert (found.strategy, found.criterion) == (("global",), ("magnitude",))
    assert (found.epochs, found.schedule, found.initial_sparsity) == (0, "polynomial", 0.5)
    assert (found.batch_size, found.learning_rate, found.max_seq_length) == (32, 2e-5, 128)
    assert (found.seed, found.weight_decay, found.warmup) == ((42,), 0.01, 0.1)
    assert (found.device, found.precision, found.eval_precision) == ("auto", "auto", "float32")


def test_recover_is_the_training_of_the_study(settings_of: SettingsOf) -> None:
    assert settings_of("--task", "sst2", "--recover").epochs == 4
    found = settings_of("--task", "sst2", "--recover", "--epochs", 2)
    assert (found.epochs, found.recipe, found.hardness) == (2, "study", 0)


def test_every_option_of_recovery(settings_of: SettingsOf) -> None:
    typed = (
        "--task sst2 --epochs 4 --recipe none --chained --schedule linear --initial-sparsity 0.3 "
        "--first-criterion wanda --calibration-samples 64 --delay 0.5ep --update-every 0.1ep "
        "--settle 0.1 --recovery-learning-rate 1e-4 --lr-schedule cosine --rewind-every 0.5 "
        "--hardness 0.5 --temperature 4 --hidden-weight 2 --teacher sst2-baseline --keep best"
    )
    found = settings_of(*typed.split())
    assert (found.epochs, found.recipe, found.chained) == (4, None, True)
    assert (found.schedule, found.initial_sparsity) == ("linear", 0.3)
    assert (found.first_criterion, found.calibration_samples) == ("wanda", 64)
    assert (found.delay, found.update_every, found.settle) == ("0.5ep", "0.1ep", 0.1)
    assert (found.recovery_learning_rate, found.learning_rate) == (1e-4, 2e-5)
    assert (found.lr_schedule, found.rewind_every) == ("cosine", "0.5ep")
    assert (found.hardness, found.temperature, found.hidden_weight) == (0.5, 4, 2)
    assert (found.teacher, found.keep) == ("sst2-baseline", "best")
    assert settings_of("--task", "sst2", "--pattern", "block:4x4").pattern == "block:4x4"


def test_recovery_goes_by_the_default_recipe(settings_of: SettingsOf) -> None:
    from prunecli.settings.recipes import DEFAULT_RECIPE, load_recipe

    recipe = load_recipe(DEFAULT_RECIPE).settings
    found = settings_of("--task", "sst2", "--epochs", 3, "--hardness", 0.25)
    assert (found.recipe, found.epochs, found.hardness) == (DEFAULT_RECIPE, 3, 0.25)
    assert found.schedule == recipe["schedule"] == "oneshot"
    plain = settings_of("--task", "sst2", "--epochs", 3, "--recipe", "none")
    assert plain.schedule == "polynomial"
    assert settings_of("--task", "sst2").recipe is None


def test_demo_changes_only_what_was_left_open(settings_of: SettingsOf) -> None:
    from prunecli.data.generated import DEMO_TRAINING

    found = settings_of("--demo", "--task", "sst2", "--learning-rate", "0.001")
    assert found.learning_rate == 0.001
    assert found.max_seq_length == DEMO_TRAINING["max_seq_length"]
    assert found.model_fields_set == {
        *("demo", "task", "learning_rate", "workspace"),
        "keep_models",  # as the environment of the tests says
    }


def test_a_flag_wins_over_the_file(settings_of: SettingsOf, tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(
        "task = ['sst2', 'mnli']\nstrategy = 'layerwise'\nlevels = '0.5:0.7:0.1'\n"
        "batch-size = 16\nlearning_rate = 1e-4\ndemo = true\n"
    )
    found = settings_of("--config", path, "--batch-size", 8, "--task", "qqp")
    assert (found.batch_size, found.task) == (8, ("qqp",))
    assert (found.strategy, found.levels) == (("layerwise",), (0.5, 0.6, 0.7))
    assert (found.learning_rate, found.demo) == (1e-4, True)


def test_workspace_by_flag_by_variable_by_default(
    settings_of: SettingsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings_of("--task", "sst2").workspace == str(tmp_path / "unused")
    assert settings_of("--task", "sst2", "-w", tmp_path / "b").workspace == str(tmp_path / "b")
    monkeypatch.delenv("PRUNE_WORKSPACE")
    monkeypatch.chdir(tmp_path)
    assert settings_of("--task", "sst2").workspace == "workspace"
    assert (tmp_path / "workspace").is_dir()


# Several values after one flag


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", ""),
        ("--levels 0.5", "--levels 0.5"),
        ("--levels 0.5 0.6 --json", "--levels 0.5 --levels 0.6 --json"),
        ("--levels=0.5 0.6", "--levels=0.5 --levels 0.6"),
        ("--json --levels 0.5 0.6", "--json --levels 0.5 --levels 0.6"),
        ("--task a b --levels 1 2", "--task a --task b --levels 1 --levels 2"),
        ("--levels -0.5 0.6", "--levels -0.5 --levels 0.6"),
        ("--levels 0.5 -w x", "--levels 0.5 -w x"),
        ("--seed 1 2", "--seed 1 2"),
        ("--levels", "--levels"),
        ("--levels --json", "--levels --json"),
        ("--levels -q", "--levels -q"),
        ("--levels 0.5 -- 0.6", "--levels 0.5 -- 0.6"),
    ],
)
def test_repeat_options(typed: str, meant: str) -> None:
    assert repeat_options(typed.split(), SEVERAL) == meant.split()


VALUES = st.lists(st.from_regex(r"[a-z0-9.,:]{1,6}", fullmatch=True), min_size=1, max_size=4)
PIECES = st.lists(st.tuples(st.sampled_from(["--levels", "--task", "--seed", "-q"]), VALUES))


@given(PIECES)
def test_repeat_options_keeps_every_word(pieces: list[tuple[str, list[str]]]) -> None:
    typed = [word for flag, values in pieces for word in (flag, *values)]
    found = repeat_options(typed, SEVERAL)
    flags = {"--levels", "--task", "--seed", "-q"}
    assert [w for w in found if w not in flags] == [w for w in typed if w not in flags]
    for before, after in pairwise(found):
        if before in SEVERAL:
            assert after not in flags  # each flag has exactly one word behind it
    assert repeat_options(found, SEVERAL) == found


@given(PIECES)
def test_repeat_options_leaves_other_commands_alone(pieces: list[tuple[str, list[str]]]) -> None:
    typed = [word for flag, values in pieces for word in (flag, *values)]
    assert repeat_options(typed, set()) == typed

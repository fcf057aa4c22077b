"""Settings: levels in all their forms, and TOML there and back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.errors import InputError, UsageError
from prunecli.files import read_toml
from prunecli.settings.model import Settings, default, load_settings, parse_levels

LEVELS = st.integers(0, 999).map(lambda n: n / 1000)


@given(st.lists(LEVELS, min_size=1, max_size=8, unique=True))
def test_every_form_means_the_same(levels: list[float]) -> None:
    words = [repr(level) for level in levels]
    expected = tuple(levels)
    assert parse_levels(words) == expected
    assert parse_levels(",".join(words)) == expected
    assert parse_levels(" ".join(words)) == expected
    assert parse_levels(levels) == expected
    assert Settings(levels=words).levels == expected


@given(st.integers(0, 99), st.integers(0, 20), st.integers(1, 10))
def test_a_range_includes_both_ends(start: int, count: int, step: int) -> None:
    hundredths = [n for n in range(start, start + count * step + 1, step) if n < 100]
    found = parse_levels(f"{start / 100}:{hundredths[-1] / 100}:{step / 100}")
    assert found == tuple(n / 100 for n in hundredths)


def test_the_range_of_the_contract() -> None:
    assert parse_levels("0.5:0.8:0.05") == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
    assert parse_levels("0.5:0.5:0.1") == (0.5,)


@given(st.one_of(st.floats(max_value=-1e-9), st.floats(min_value=1.0), st.just(float("nan"))))
def test_a_level_outside_is_refused(level: float) -> None:
    with pytest.raises(UsageError, match=r"outside \[0, 1\)"):
        parse_levels([level])
    with pytest.raises(UsageError):
        parse_levels(repr(level))


@given(st.text(max_size=12))
def test_any_text_is_levels_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        levels = parse_levels(text)
        assert levels
        assert all(0 <= level < 1 for level in levels)


def test_file_then_flags(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("batch-size = 16\nseed = [1, 2]\ntask = 'sst2,qqp'\n")
    found = load_settings({"seed": ["3"], "batch_size": None, "task": None}, path)
    assert (found.batch_size, found.seed, found.task) == (16, (3,), ("sst2", "qqp"))
    assert found.model_fields_set == {"batch_size", "seed", "task"}


def test_errors_name_the_flag_or_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--batch-size: "):
        load_settings({"batch_size": 0})
    (tmp_path / "s.toml").write_text("batch_size = 0")
    with pytest.raises(UsageError, match=r"s.toml: 'batch_size': "):
        load_settings({}, tmp_path / "s.toml")
    with pytest.raises(InputError, match="cannot read"):
        read_toml(tmp_path)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().seed = (1,)  # type: ignore[misc]


def test_defaults_are_valid() -> None:
    """Defaults are not validated when nothing is given, so they are here."""
    values = {key: default(key) for key in Settings.model_fields}
    assert Settings(**values) == Settings()

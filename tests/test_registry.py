from __future__ import annotations

import pytest

from prunecli.errors import UsageError
from prunecli.registry import Registry, did_you_mean


def filled() -> Registry[int]:
    registry: Registry[int] = Registry("number")
    for name, value in (("three", 3), ("one", 1), ("two", 2)):
        registry.register(name)(value)
    return registry


def test_get_and_order() -> None:
    registry = filled()
    assert registry.get("two") == 2
    assert registry.names() == tuple(registry) == ("three", "one", "two")
    assert "one" in registry
    assert "four" not in registry


def test_a_taken_name_is_a_bug() -> None:
    with pytest.raises(ValueError, match="number 'one' is registered twice"):
        filled().register("one")(9)


def test_register_gives_back_what_it_files() -> None:
    def function() -> None: ...

    registry: Registry[object] = Registry("function")
    assert registry.register("f")(function) is function


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(UsageError, match="unknown number 'thre'") as caught:
        filled().get("thre")
    assert caught.value.hint == "did you mean 'three'?"
    with pytest.raises(UsageError) as caught:
        filled().get("xyz")
    assert caught.value.hint == "known: one, three, two"


def test_suggestions_ignore_case() -> None:
    assert did_you_mean("TWO", ["two", "one"]) == "did you mean 'two'?"

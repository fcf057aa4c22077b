"""Settings out of values of any source, and what was not given out of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from prunecli.errors import UsageError
from prunecli.settings.model import Settings
from prunecli.settings.option import flag


def validated(
    values: Mapping[str, Any], place: Callable[[str], str], *, strict: bool = False
) -> Settings:
    """Settings of ``values``, else a `UsageError` that says where it stands.

    ``place(key)`` is the file in which the key stands, empty for a flag. ``strict`` takes no text
    for a number, but for durations, and no truth value either.
    """
    try:
        return Settings.model_validate(dict(values), strict=strict)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "settings"
        file = place(key)
        if first["type"] == "usage":  # it names the key, or needs none
            raise UsageError(
                f"{file}: {first['msg']}" if file else first["msg"], hint=first["ctx"]["hint"]
            ) from None
        where = f"{file}: '{key}'" if file else flag(key)
        shown = str(first.get("input"))[:60]
        raise UsageError(f"{where}: {first['msg'].lower()}, got {shown}") from None


def beneath(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """``settings`` with ``values`` where the user gave nothing.

    Unlike with ``model_copy``, these do not count as given by the user.
    """
    given = settings.model_fields_set
    return with_values(settings, {key: value for key, value in values.items() if key not in given})


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """``settings`` with ``values``, whether the user gave others or not."""
    given = set(settings.model_fields_set)
    return Settings.model_construct(given, **{**dict(settings), **values})

"""Settings: every default lives here once, and TOML files are read here.

The keys of a settings file are the long flags with ``_`` for ``-``. A flag wins over the file, the
file over the default. ``Settings.model_fields_set`` tells which were given at all.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from prunecli.errors import InputError, UsageError
from prunecli.registry import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - Python 3.10
    import tomli as tomllib

DEFAULT_LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
STUDY_RECOVERY_EPOCHS = 4.0
"""What ``--recover`` stands for: the study's recovery training, in epochs."""

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bf16"]
MAX_SEED = 2**32 - 1


def parse_levels(raw: str | float | Iterable[str | float]) -> tuple[float, ...]:
    """Sparsity levels from any of their four forms, in the order given.

    ``["0.5", "0.6"]``, ``"0.5,0.6"``, ``[0.5]`` or an inclusive range ``"0.5:0.8:0.05"``. Raises
    `UsageError` for what is no number, lies outside [0, 1) or stands twice.
    """
    pieces: list[str | float] = []
    for item in raw if isinstance(raw, Iterable) and not isinstance(raw, str) else [raw]:
        if isinstance(item, str):
            pieces.extend(part for part in re.split(r"[,\s]+", item) if part)
        else:
            pieces.append(item)
    levels: list[float] = []
    for piece in pieces:
        levels.extend(_range(piece) if isinstance(piece, str) and ":" in piece else [_level(piece)])
    if not levels:
        raise UsageError("no sparsity level given", hint="for example: --levels 0.5 0.6 0.7")
    for i, level in enumerate(levels):
        if level in levels[:i]:
            raise UsageError(f"level {level:g} is given twice", hint="give each level once")
    return tuple(levels)


def _level(piece: str | float) -> float:
    try:
        if isinstance(piece, bool):  # TOML's true is no number
            raise ValueError
        value = float(piece)
    except (TypeError, ValueError):
        raise UsageError(
            f"'{piece}' is not a sparsity level", hint="a number from 0 up to, not including, 1"
        ) from None
    if not 0.0 <= value < 1.0:  # also catches NaN
        hint = "a number from 0 up to, not including, 1"
        if 2.0 <= value < 100.0:
            hint = f"for {value:g}% write {value / 100:g}"
        raise UsageError(f"level {piece} is outside [0, 1)", hint=hint)
    return round(value, 10)


def _range(piece: str) -> list[float]:
    parts = piece.split(":")
    if len(parts) != 3:
        raise UsageError(
            f"'{piece}' is not a range of levels", hint="write START:STOP:STEP, as 0.5:0.8:0.05"
        )
    start, stop = _level(parts[0]), _level(parts[1])
    try:
        step = float(parts[2])
    except ValueError:
        step = math.nan
    if not (step > 0.0 and start <= stop) or (stop - start) / step > 1000:
        raise UsageError(
            f"'{piece}' is not a range of levels", hint="START below STOP and a STEP above 0"
        )
    count = math.floor((stop - start) / step + 1e-9) + 1
    return [round(start + i * step, 10) for i in range(count)]


def _as_tuple(value: object) -> object:
    """One value or a list; a comma-separated string counts as several, also inside a list."""
    if isinstance(value, (int, float)):
        return (value,)
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, (list, tuple)):
        return value
    split = [item.split(",") if isinstance(item, str) else [item] for item in value]
    return tuple(item for items in split for item in items if item != "")


def _home(value: object) -> object:
    """``~`` at the front is the home folder, in a file as on the command line."""
    if isinstance(value, str) and value.startswith("~"):
        return os.path.expanduser(value)  # noqa: PTH111  (pathlib raises for an unknown user)
    return value


Place = Annotated[str, BeforeValidator(_home)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1),
]
Levels = Annotated[tuple[float, ...], BeforeValidator(parse_levels)]


class Settings(BaseModel):
    """What a user can set, with the defaults of the reproduced study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Strings = ()
    model: Place = "distilbert-base-uncased"
    data: Place = "hub"
    demo: bool = False
    """Generated data and a tiny model trained from nothing; overrides ``model`` and ``data``."""

    strategy: Strings = ("global",)
    criterion: Strings = ("magnitude",)
    levels: Levels = DEFAULT_LEVELS

    seed: Seeds = (42,)
    baseline_epochs: float = Field(3.0, gt=0, le=1000)
    """Epochs of fine-tuning the dense classifier."""
    epochs: float = Field(0.0, ge=0, le=1000)
    """Recovery epochs while and after pruning; 0 is one-shot."""
    schedule: str = "polynomial"
    initial_sparsity: float = Field(0.5, ge=0, lt=1)
    update_every: int = Field(50, ge=1)
    """Optimiser steps between two growths of the mask."""
    settle: float = Field(0.25, ge=0, lt=1)
    """Last fraction of the recovery steps during which the mask is fixed."""

    batch_size: int = Field(32, ge=1, le=65536)
    learning_rate: float = Field(2e-5, gt=0, le=1)
    weight_decay: float = Field(0.01, ge=0, le=1)
    warmup: float = Field(0.1, ge=0, lt=1)
    """Fraction of the steps over which the learning rate rises."""
    max_seq_length: int = Field(128, ge=4, le=8192)
    max_train_samples: int | None = Field(None, ge=1)
    max_eval_samples: int | None = Field(None, ge=1)

    device: Device = "auto"
    precision: Precision = "auto"
    """Of training; ``auto`` is bf16 autocast where the hardware has it, else float32."""
    eval_precision: Precision = "float32"
    workspace: Place = "workspace"


def default(key: str) -> Any:
    """The default of one setting; for help texts."""
    return Settings.model_fields[key].default


def read_toml(path: Path) -> dict[str, Any]:
    """Parsed TOML; raises `InputError` when the file is missing, unreadable or not TOML."""
    try:
        parsed: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return parsed
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None


def load_settings(flags: Mapping[str, Any], config: Path | None = None) -> Settings:
    """Defaults, then ``config``, then ``flags`` (those that are not ``None``).

    Raises `UsageError` naming the key for an unknown key or a value out of range.
    """
    values: dict[str, Any] = {}
    if config is not None:
        for key, value in read_toml(config).items():
            values[key.replace("-", "_")] = value
        for key in values:
            if key not in Settings.model_fields:
                raise UsageError(
                    f"{config}: unknown key '{key}'",
                    hint=did_you_mean(key, Settings.model_fields),
                )
    given = {key: value for key, value in flags.items() if value is not None}
    try:
        return Settings(**{**values, **given})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "settings"
        flag = f"--{key.replace('_', '-')}" if key in given else f"{config}: '{key}'"
        shown = str(first.get("input"))[:60]
        raise UsageError(f"{flag}: {first['msg'].lower()}, got {shown}") from None
    except UsageError as error:  # of `parse_levels`, which names no place
        where = "" if "levels" in given else f"{config}: "
        raise UsageError(f"{where}{error}", hint=error.hint) from None

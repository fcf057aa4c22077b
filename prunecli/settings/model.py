"""Settings: the default of each lives here once, and TOML files are read here.

The keys of a settings file are the long flags with ``_`` for ``-``. A flag wins over the file, the
file over the recipe, the recipe over the default. ``Settings.model_fields_set`` tells which the
user gave, by flag or by file.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from prunecli.errors import UsageError
from prunecli.files import read_toml
from prunecli.records.base import Frozen
from prunecli.records.reading import PARSERS, Reading
from prunecli.registry import did_you_mean

DEFAULT_LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
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


_EPOCHS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)ep")
_DURATIONS = {
    "delay": ("a fraction of the recovery below 1", "0.25"),
    "settle": ("a fraction of the recovery below 1", "0.25"),
    "update_every": ("whole optimiser steps above 0", "50"),
    "rewind_every": ("epochs above 0", "2"),
}
"""What a plain number means, and an example; any of them takes ``"2ep"``, epochs, too."""


def parse_duration(key: str, raw: object) -> float | int | str:
    """How long a phase of recovery lasts, for the setting ``key``.

    ``"2ep"`` is epochs for every key. A number, or its text, is a fraction of the recovery for
    ``delay`` and ``settle`` (a ``float``), optimiser steps for ``update_every`` (an ``int``) and
    epochs for ``rewind_every``. Epochs come back in their shortest form, to four decimals, so that
    the same duration is the same text. Raises `UsageError` for anything else.
    """
    unit, example = _DURATIONS[key]
    wrong = UsageError(
        f"{key}: '{raw}' is no duration", hint=f"{unit}, as {example}, or epochs, as 2ep"
    )
    found = _EPOCHS.fullmatch(raw.strip()) if isinstance(raw, str) else None
    plain = found[1] if found else raw
    if isinstance(plain, bool) or not isinstance(plain, (int, float, str)):
        raise wrong
    try:
        number = float(plain)
    except ValueError:
        raise wrong from None
    if found or key == "rewind_every":
        rounded = round(number, 4) if 0 <= number <= 1000 else math.nan
        if not (rounded > 0 or (rounded == 0 and key in ("delay", "settle"))):
            raise wrong
        return f"{rounded:.10g}ep"
    if key == "update_every":
        if not 1 <= number <= sys.maxsize or number != int(number):
            raise wrong
        return int(number)
    if not 0.0 <= number < 1.0:
        raise wrong
    return number


def epochs_of(duration: float | int | str) -> float | None:
    """The epochs that ``"2ep"`` stands for; ``None`` for a fraction or for steps."""
    found = _EPOCHS.fullmatch(duration) if isinstance(duration, str) else None
    return float(found[1]) if found else None


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


def _none(value: object) -> object:
    """``none`` takes back what a recipe or a file says."""
    return None if value == "none" else value


def _usage(parse: Callable[[str, Any], Any]) -> BeforeValidator:
    """``parse(key, value)`` as a validator that keeps the message and the hint of its error."""

    def check(value: object, info: ValidationInfo) -> object:
        try:
            return parse(str(info.field_name), value)
        except UsageError as error:
            about = {"message": str(error), "hint": error.hint}
            raise PydanticCustomError("usage", "{message}", about) from None

    return BeforeValidator(check)


Place = Annotated[str, BeforeValidator(_home)]
OptionalPlace = Annotated[Place | None, BeforeValidator(_none)]
OptionalName = Annotated[str | None, BeforeValidator(_none)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1),
]
Levels = Annotated[tuple[float, ...], _usage(lambda _, value: parse_levels(value))]
Fraction = Annotated[float | str, _usage(parse_duration)]
Steps = Annotated[int | str, _usage(parse_duration)]
OptionalProbability = Annotated[Annotated[float, Field(ge=0, lt=1)] | None, BeforeValidator(_none)]
OptionalEpochs = Annotated[Annotated[str, _usage(parse_duration)] | None, BeforeValidator(_none)]


class Settings(Frozen):
    """What a user can set, with the defaults of the reproduced study."""

    task: Strings = ()
    model: Place = "distilbert-base-uncased"
    data: Place = "hub"
    encoding: Annotated[str, _usage(PARSERS["encoding"])] | None = None
    """Of files of text; ``None`` is by their byte-order mark, else UTF-8."""
    delimiter: Annotated[str, _usage(PARSERS["delimiter"])] | None = None
    """Of CSV and TSV; ``None`` is the one under which the first line has the task's columns."""
    drop_missing: bool = False
    """Whether rows without a label are left out."""
    demo: bool = False
    """Generated data and a tiny model trained from nothing; overrides ``model`` and ``data``."""

    strategy: Strings = ("global",)
    criterion: Strings = ("magnitude",)
    levels: Levels = DEFAULT_LEVELS
    pattern: str = "unstructured"
    """Which weights go together: ``unstructured``, ``N:M`` or ``block:RxC``."""
    revive_zeros: bool = False
    """Whether zeros that a model came with may come back; otherwise they stay."""
    calibration_samples: int = Field(512, ge=2)
    """Training examples from which a criterion learns, where it learns from any."""
    heads: float = Field(0.0, ge=0, lt=1)
    """Fraction of the attention heads that is cut out."""
    neurons: float = Field(0.0, ge=0, lt=1)
    """Fraction of the feed-forward neurons that is cut out."""
    unit_criterion: str = "reconstruction"
    """How heads and neurons are ranked."""
    refit: bool = True
    """Whether the output layers are fitted anew after a cut."""

    seed: Seeds = (42,)
    baseline_epochs: float = Field(3.0, gt=0, le=1000)
    """Epochs of fine-tuning the dense classifier."""
    recipe: OptionalPlace = None
    """Name or file of the recipe from which what was not given is taken."""
    recover: bool = False
    """The recovery of the study; short for its recipe."""
    epochs: float = Field(0.0, ge=0, le=1000)
    """Recovery epochs while and after pruning; 0 is one-shot."""
    chained: bool = False
    """One recovery that passes all levels of a sweep, each from the weights of the one before."""
    schedule: str = "polynomial"
    initial_sparsity: float = Field(0.5, ge=0, lt=1)
    first_criterion: OptionalName = None
    """Criterion of the first step of recovery; ``None`` is the same as of all."""
    delay: Fraction = 0.0
    """First fraction of the recovery steps, or ``"2ep"``, before anything is pruned."""
    update_every: Steps = 50
    """Optimiser steps, or ``"0.5ep"``, between two growths of the mask."""
    settle: Fraction = 0.25
    """Last fraction of the recovery steps, or ``"4ep"``, during which the mask is fixed."""
    recovery_learning_rate: float | None = Field(None, gt=0, le=1)
    """Peak of recovery; ``None`` is ``learning_rate``, which alone selects the baseline."""
    lr_schedule: str = "linear"
    """How the learning rate of recovery falls from its peak."""
    rewind_every: OptionalEpochs = None
    """Epochs, as ``"2ep"``, after which the learning rate starts from its peak again."""
    recovery_dropout: OptionalProbability = None
    """Dropout of recovery; ``None`` is what the model came with."""
    hardness: float = Field(0.0, ge=0, le=1)
    """Weight of the teacher's answers against that of the labels; 0 is no distillation."""
    temperature: float = Field(2.0, gt=0, le=100)
    """By which the logits of student and teacher are divided in distillation."""
    hidden_weight: float = Field(0.0, ge=0, le=1000)
    """Weight of the distance between the hidden states of student and teacher."""
    teacher: OptionalPlace = None
    """Run or model folder to learn from; ``None`` is the baseline that is pruned."""
    keep: Literal["last", "best"] = "last"
    """Whose weights are kept: the last, or the best among those at the final sparsity."""

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


def reading_of(settings: Settings) -> Reading:
    """How files of data are to be read."""
    return Reading(**{key: getattr(settings, key) for key in PARSERS})


def cuts(settings: Settings) -> bool:
    """Whether heads or neurons are to be cut out."""
    return settings.heads > 0 or settings.neurons > 0


def default(key: str) -> Any:
    """The default of one setting; for help texts."""
    return Settings.model_fields[key].default


def check_phases(settings: Settings) -> None:
    """Raise `UsageError` when the phases of recovery do not fit into it.

    Durations in epochs are only checked where ``epochs`` says how many there are.
    """
    whole = settings.epochs
    if settings.schedule != "oneshot":
        parts = [_share(settings.delay, whole), _share(settings.settle, whole)]
        if sum(part for part in parts if part is not None) > 1 - 1e-9:
            raise UsageError(
                f"delay {_text(settings.delay)} and settle {_text(settings.settle)} leave nothing "
                f"of {_training(whole)} to prune in",
                hint="give more --epochs, or a shorter --delay or --settle",
            )
    elif (_share(settings.delay, whole) or 0.0) > 1 - 1e-9:
        raise UsageError(
            f"delay {_text(settings.delay)} leaves nothing of {_training(whole)} to prune in",
            hint="give more --epochs, or a shorter --delay",
        )
    for key in ("update_every", "rewind_every"):
        value = getattr(settings, key)
        if value is not None and whole and (epochs_of(value) or 0.0) >= whole:
            raise UsageError(
                f"{key} {value} is not within {_training(whole)}",
                hint=f"give more --epochs, or another --{key.replace('_', '-')}",
            )


def _share(duration: float | str, whole: float) -> float | None:
    """As a fraction of ``whole`` epochs; ``None`` where that is not known."""
    if not isinstance(duration, str):
        return duration
    return (epochs_of(duration) or 0.0) / whole if whole else None


def _text(duration: float | str) -> str:
    return duration if isinstance(duration, str) else f"{duration:g}"


def _training(whole: float) -> str:
    return f"{whole:g} epochs of recovery" if whole else "the recovery"


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
        where = f"{file}: '{key}'" if file else f"--{key.replace('_', '-')}"
        shown = str(first.get("input"))[:60]
        raise UsageError(f"{where}: {first['msg'].lower()}, got {shown}") from None


def beneath(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """``settings`` with ``values`` where the user gave nothing.

    Unlike with ``model_copy``, these do not count as given by the user.
    """
    given = settings.model_fields_set
    return _with(settings, {key: value for key, value in values.items() if key not in given})


def _with(settings: Settings, values: Mapping[str, Any]) -> Settings:
    given = set(settings.model_fields_set)
    return Settings.model_construct(given, **{**dict(settings), **values})


def load_settings(flags: Mapping[str, Any], config: Path | None = None) -> Settings:
    """Defaults, then the recipe, then ``config``, then ``flags`` (those that are not ``None``).

    Recovery for which no recipe is named goes by the default one. What a recipe says does not
    count as given by the user. Raises `UsageError` naming the key for an unknown key or a value
    out of range, and what `load_recipe` raises.
    """
    from prunecli.settings.recipes import load_recipe  # which needs this module

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
    settings = validated({**values, **given}, lambda key: "" if key in given else str(config))
    name = _recipe_name(settings, given)
    if name is not None:
        settings = beneath(settings, load_recipe(name).settings)
    if settings.recover and not settings.epochs:
        raise UsageError(
            "recover asks for recovery training, and there is none",
            hint="leave out --epochs 0 or --recipe none, or ask for --epochs N",
        )
    return _with(settings, {"recipe": name})


def _recipe_name(settings: Settings, flags: Mapping[str, Any]) -> str | None:
    """The recipe that was asked for, ``--recover`` being one; else the default of recovery."""
    from prunecli.settings.recipes import DEFAULT_RECIPE, STUDY_RECIPE

    if flags.get("recover") and flags.get("recipe", STUDY_RECIPE) != STUDY_RECIPE:
        raise UsageError(
            f"--recover is short for --recipe {STUDY_RECIPE}, and another is named",
            hint="leave one of the two out",
        )
    if flags.get("recover") and "recipe" not in flags:  # a flag, so it wins over a file's recipe
        return STUDY_RECIPE
    if "recipe" in settings.model_fields_set:
        beside = settings.recover and "recipe" not in flags  # both in the file
        if beside and settings.recipe != STUDY_RECIPE:
            raise UsageError(
                f"recover is short for recipe = '{STUDY_RECIPE}', and another is named beside it",
                hint="leave one of the two out of the file",
            )
        return settings.recipe
    if settings.recover:
        return STUDY_RECIPE
    return DEFAULT_RECIPE if settings.epochs else None

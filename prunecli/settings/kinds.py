"""The types of settings: what text, a list or ``none`` becomes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo
from pydantic_core import PydanticCustomError

from prunecli.errors import UsageError
from prunecli.files import expanded
from prunecli.records.reading import PARSERS
from prunecli.settings.durations import parse_duration
from prunecli.settings.levels import parse_levels
from prunecli.settings.shapes import parse_shape

MAX_SEED = 2**32 - 1


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
        return str(expanded(value))
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


def _once(values: tuple[float, ...]) -> tuple[float, ...]:
    for place, value in enumerate(values):
        if value in values[:place]:
            about = {"message": f"{value:g} is given twice", "hint": "give each once"}
            raise PydanticCustomError("usage", "{message}", about)
    return values


def _one_as_itself(values: tuple[float, ...]) -> float | tuple[float, ...]:
    """As it was written when there could be but one: names of sweeps come from it."""
    return values[0] if len(values) == 1 else values


_ONCE = AfterValidator(_once)
Place = Annotated[str, BeforeValidator(_home)]
OptionalPlace = Annotated[Place | None, BeforeValidator(_none)]
OptionalName = Annotated[str | None, BeforeValidator(_none)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Trackers = Annotated[
    tuple[Literal["tensorboard", "mlflow", "wandb"], ...], BeforeValidator(_as_tuple)
]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1),
]
Levels = Annotated[tuple[float, ...], _usage(lambda _, value: parse_levels(value))]
Factors = Annotated[
    tuple[Annotated[float, Field(gt=1, le=1000)], ...], BeforeValidator(_as_tuple), _ONCE
]
Shares = Annotated[
    tuple[Annotated[float, Field(ge=0, lt=1)], ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1),
    _ONCE,
    PlainSerializer(_one_as_itself),
]
Durations = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1e6)], ...], BeforeValidator(_as_tuple), _ONCE
]
Shape = Annotated[str, _usage(lambda _, value: parse_shape(value))]
Fraction = Annotated[float | str, _usage(parse_duration)]
Steps = Annotated[int | str, _usage(parse_duration)]
OptionalProbability = Annotated[Annotated[float, Field(ge=0, lt=1)] | None, BeforeValidator(_none)]
OptionalEpochs = Annotated[Annotated[str, _usage(parse_duration)] | None, BeforeValidator(_none)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bf16"]
Encoding = Annotated[str, _usage(PARSERS["encoding"])]
Delimiter = Annotated[str, _usage(PARSERS["delimiter"])]

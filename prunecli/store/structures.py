"""``structure.json`` beside a model's weights: how many heads and neurons each layer has left.

A configuration has one number for all layers, so it cannot say this of a model that was cut. The
configuration stays that of the dense model, and this file says to what it was cut.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from prunecli.core.sublayers import Kind
from prunecli.errors import InputError, IntegrityError
from prunecli.records.base import Strict

STRUCTURE: Final = "structure.json"
VERSION: Final = 1
_MOST_BYTES = 1 << 16
_MOST_LAYERS, _MOST_UNITS = 1000, 1 << 20

_Counts = Annotated[
    tuple[Annotated[int, Field(ge=0, le=_MOST_UNITS)], ...],
    Field(min_length=1, max_length=_MOST_LAYERS),
]


class Structure(Strict):
    """What each layer has left, in the order of the layers."""

    version: Literal[1] = VERSION
    heads: _Counts
    neurons: _Counts

    @property
    def counts(self) -> dict[Kind, tuple[int, ...]]:
        """As `prunecli.core.cutting` takes it."""
        return {"heads": self.heads, "neurons": self.neurons}


def write_structure(folder: Path, structure: Structure) -> None:
    """Write the file into a model folder."""
    path = folder / STRUCTURE
    path.write_text(structure.model_dump_json() + "\n", encoding="utf-8")


def read_structure(folder: Path) -> Structure | None:
    """What a model folder says of its structure; ``None`` where it has no such file.

    Raises `InputError` for a version that is not known, and `IntegrityError` for anything that
    `write_structure` cannot have written. Whether it fits a model is for the caller to see.
    """
    path = folder / STRUCTURE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES} bytes")
        found = json.loads(text)
        version = found.get("version") if isinstance(found, dict) else None
        if type(version) is int and version > VERSION:
            raise InputError(
                f"{path} has version {version}, this is {VERSION}",
                hint="use the version of prune that wrote it",
            )
        return Structure.model_validate_json(text)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise _corrupt(path, f"{where}: {first['msg'].lower()}") from None
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, str(error).splitlines()[0][:200]) from None


def _corrupt(path: Path, problem: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is corrupt: {problem}", hint="copy the model's folder again, or make its run anew"
    )

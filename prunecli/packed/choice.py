"""As which numbers each tensor is stored, and whether it is stored sparse."""

from __future__ import annotations

from pydantic import ValidationError

from prunecli.errors import InputError
from prunecli.packed.manifest import FLOATS, Form, Numbers
from prunecli.packed.settings import PackSettings

_OWN = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def form_of(
    name: str, dtype: str, shape: tuple[int, ...], settings: PackSettings, *, embedding: bool
) -> Form:
    """The numbers that the settings ask for, where the tensor can have them; else its own.

    Raises `InputError` for a tensor that no packed file can have.
    """
    wanted: Numbers = "exact"
    if embedding and settings.embeddings != "same":
        wanted = settings.embeddings
    elif settings.values not in ("float32", _OWN.get(dtype)):
        wanted = settings.values  # type: ignore[assignment]
    quantised = wanted in ("int8", "int4")
    if dtype not in FLOATS or (quantised and (len(shape) < 2 or 0 in shape)):
        wanted = "exact"
    group = settings.group if wanted == "int4" else None
    try:
        return Form(name=name, dtype=dtype, shape=shape, numbers=wanted, group=group)
    except ValidationError as error:
        raise InputError(f"{name[:80]!r} cannot be packed: {error.errors()[0]['msg']}") from None


def as_stored(form: Form, nonzero: int) -> int | None:
    """``nonzero`` where a mask and so many numbers are fewer bytes than all, else ``None``."""
    if form.group is not None or sum(form.raw_bytes(nonzero)) >= sum(form.raw_bytes(None)):
        return None
    return nonzero

"""What models of data that is kept or passed on share: they are frozen and know no extras."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """It does not change once it is made, and refuses a field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Strict(Frozen):
    """It also takes no value of another type, such as a number for a text: for foreign files."""

    model_config = ConfigDict(strict=True)

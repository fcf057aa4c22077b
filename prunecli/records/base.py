"""What models of data that is kept or passed on share: they are frozen and know no extras."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Frozen(BaseModel):
    """It does not change once it is made, and refuses a field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Growing(Frozen):
    """Some of its fields came later: where they are ``None`` it is written as before they came."""

    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        own: dict[str, Any] = handler(self)
        return {
            key: value for key, value in own.items() if value is not None or key not in self.later
        }


class Strict(Frozen):
    """It also takes no value of another type, such as a number for a text: for foreign files."""

    model_config = ConfigDict(strict=True)

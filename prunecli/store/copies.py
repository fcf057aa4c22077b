"""Where the copy of a workspace at an address is kept, and what it says of itself."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from pydantic import BaseModel

TOLD = "upstream.json"
_HASHED = 10


def mirror_of(address: str) -> Path:
    """The folder of the copy: below ``PRUNE_MIRRORS``, or the user's folder for caches."""
    home = os.environ.get("PRUNE_MIRRORS")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    whole = address.rstrip("/")
    readable = re.sub(r"[^A-Za-z0-9]+", "-", whole).strip("-")[-40:]
    name = f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:_HASHED]}"
    return (Path(home) if home else Path(cache) / "prune" / "workspaces") / name


class Told(BaseModel):
    """What a copy says of itself."""

    address: str = ""
    known: dict[str, str] = {}
    """What was there as it is here, and what would change there with it."""
    unsent: dict[str, str] = {}
    """What was changed here and not sent, and what it was made of there."""


def told_of(root: Path) -> Told:
    """What the folder ``root`` says; nothing where it is no copy."""
    try:
        return Told.model_validate_json((root / TOLD).read_bytes())
    except (OSError, ValueError):
        return Told()


def copied_from(root: Path) -> str | None:
    """The address that the folder ``root`` is this machine's copy of, if it is one."""
    address = told_of(root).address
    return address if address and mirror_of(address).resolve() == root.resolve() else None

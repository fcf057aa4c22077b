"""What the hub's cache on this machine last saw."""

from __future__ import annotations

from pathlib import Path


def cached_revision(kind: str, name: str) -> str | None:
    """The newest revision of ``name`` that the cache holds, or ``None``.

    ``kind`` is ``models`` or ``datasets``. A download at a known revision leaves no branch behind,
    so the snapshots themselves are looked at.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    snapshots = Path(HF_HUB_CACHE) / f"{kind}--{name.replace('/', '--')}" / "snapshots"
    found = sorted(snapshots.glob("*"), key=lambda folder: folder.stat().st_mtime)
    return found[-1].name if found else None

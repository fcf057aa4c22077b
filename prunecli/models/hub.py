"""Where a model or data is, in a folder or on the hub, and what to say when it cannot be had."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from prunecli.errors import InputError

Kind = Literal["model", "dataset"]
"""What the hub keeps."""

_HUB_TIMEOUT = 10.0
"""Seconds to wait for the hub; its client alone would try for half a minute."""
_HUB_HINT = "give a local folder with --model, or --demo, which needs no network"


def is_local(name: str) -> bool:
    """Whether ``name`` is meant as a path and not as a hub id."""
    return Path(name).exists() or name.startswith((".", "/", "~")) or name.count("/") > 1


def where(name: str) -> dict[str, Any]:
    """Where the library may look: a folder, the hub at a known revision, or only the cache."""
    if is_local(name):
        return {"local_files_only": True}
    answers, revision = ask_hub(name)
    found: dict[str, Any] = {"local_files_only": not answers}
    return found | {"revision": revision} if revision else found


@lru_cache(maxsize=8)
def ask_hub(name: str, kind: Kind = "model") -> tuple[bool, str | None]:
    """Whether the hub answers, and the current revision of what is there; else the one last cached.

    The revision is ``None`` where the hub answers, but not with one, and nothing was ever cached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return True, HfApi().repo_info(name, repo_type=kind, timeout=_HUB_TIMEOUT).sha
    except HfHubHTTPError:  # it answers, if only that there is no such thing
        return True, None
    except Exception:  # whatever the network raises
        return False, cached_revision(name, kind)


def cached_revision(name: str, kind: Kind) -> str | None:
    """The newest revision of ``name`` that the cache holds, or ``None``.

    A download at a known revision leaves no branch behind,
    so the snapshots themselves are looked at.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    snapshots = Path(HF_HUB_CACHE) / f"{kind}s--{name.replace('/', '--')}" / "snapshots"
    found = sorted(snapshots.glob("*"), key=lambda folder: folder.stat().st_mtime)
    return found[-1].name if found else None


def is_cached(name: str) -> bool:
    """Whether the cache holds a model called ``name``."""
    return cached_revision(name, "model") is not None


def downloaded(name: str) -> Path:
    """The folder in the cache with weights, configuration and tokenizer of a model of the hub.

    Raises `InputError`.
    """
    from huggingface_hub import snapshot_download

    answers, revision = ask_hub(name)
    try:
        found = snapshot_download(
            name,
            revision=revision,
            local_files_only=not answers,
            allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"],
            ignore_patterns=["*/*"],  # other forms of the same model
        )
    except Exception as error:
        raise unusable("model", name, error) from None
    return Path(found)


def unusable(what: str, name: str, error: Exception) -> InputError:
    """What the library said of a ``what``, such as a tokenizer, in a line."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if is_local(name):
        return InputError(f"the {what} in {name} cannot be loaded: {reason[:200]}")
    return InputError(
        f"the {what} '{name}' cannot be loaded from the hub: {reason[:200]}", hint=_HUB_HINT
    )

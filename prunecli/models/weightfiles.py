"""Which files hold the weights of a model folder: safetensors alone, and none from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any, Final

from prunecli.errors import InputError, IntegrityError

WEIGHTS: Final = "model.safetensors"
INDEX: Final = f"{WEIGHTS}.index.json"


def weight_files(folder: Path) -> list[Path]:
    """The files from which the weights in ``folder`` are read, sorted; empty where there are none.

    That is ``model.safetensors``, or else what the index names: safetensors in the folder or below
    it. Raises `InputError` for a name of anything else, a file that is missing, and a link that
    leads out of the folder; and `IntegrityError` at a corrupt index.
    """
    if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file():
        names = [WEIGHTS] if (folder / WEIGHTS).is_file() else []
    else:
        names = _listed(folder / INDEX)
    for name in names:
        check_inside(folder, folder / name)
    return [folder / name for name in names]


def weight_bytes(folder: Path) -> int:
    """Bytes of the files of weights in a model folder."""
    return sum(path.stat().st_size for path in weight_files(folder))


def check_inside(folder: Path, path: Path) -> None:
    """Raise `InputError` for a path in ``folder`` that a link leads out of it.

    In the hub's cache all files are links, to contents beside the folders of a model's revisions.
    """
    home, target = folder.resolve(), path.resolve()
    homes = [home, home.parent.parent / "blobs"] if home.parent.name == "snapshots" else [home]
    if not any(target.is_relative_to(one) for one in homes):
        raise InputError(
            f"{path} is a link that leads out of its folder",
            hint="copy the file there: cp -rL copies a folder with what its links lead to",
        )


def _listed(index: Path) -> list[str]:
    try:
        listed: Any = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        names = sorted({str(name) for name in listed})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{index} cannot be used: {error}") from None
    if not names:
        raise IntegrityError(f"{index} cannot be used: it names no file")
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or path.as_posix() != name:
            raise InputError(
                f"{index.parent} has no weights that may be read: {INDEX} names '{name[:80]}', "
                "which is not in its folder"
            )
        if path.suffix != ".safetensors":
            raise InputError(
                f"{index} names '{name[:80]}', and weights are read from safetensors alone",
                hint="convert them: model.save_pretrained(folder) with a recent transformers",
            )
        if not (index.parent / name).is_file():
            raise InputError(f"{index.parent} has no weights ({name[:80]})")
    return names

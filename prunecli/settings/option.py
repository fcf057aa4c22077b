"""What is said once of each setting: how it is given, what may hold it, where a run keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

WHAT: Final = "What"
PRUNING: Final = "Pruning"
RECOVERY: Final = "Recovery"
TRAINING: Final = "Training"
RUNNING: Final = "Running"
PANELS: Final = (WHAT, PRUNING, RECOVERY, TRAINING, RUNNING)
"""In the order of the help."""


@dataclass(frozen=True)
class Option:
    """Stands in the annotation of a field of `Settings`; whatever lists settings reads it there."""

    about: str
    """Help text. ``{criteria}`` and the like are names that the command line fills in."""
    panel: str
    """Under which the help shows it."""
    flags: tuple[str, ...] = ()
    """Empty is ``--`` and the field's name with ``-`` for ``_``."""
    place: int = 0
    """Before those of a higher place the help shows it under its panel; else as the fields come."""
    metavar: str | None = None
    envvar: str | None = None
    completes: str = ""
    """Which names a shell completes it with, as the help's places call them: ``criteria``."""
    kind: Any = None
    """What the command line takes; ``None`` is what the field's type says."""
    shown: str | None = None
    """What the help shows as the default; ``None`` is the default itself."""
    recipe: bool = False
    """Whether a recipe may hold it."""
    needs_recovery: bool = False
    """Whether it means something only where there are recovery epochs."""
    times: Literal["", "pruning", "growth"] = ""
    """``pruning`` for what says when weights go during recovery, and of that ``growth`` for how a
    mask grows, which is nothing where all goes in one step."""
    needs_cut: bool = False
    """Whether it means something only where heads and neurons are cut out."""
    needs_speed: bool = False
    """Whether it means something only where they are cut until a speed is reached."""
    later: bool = False
    """Whether it came after requests had names: at its default it is in none of them."""
    not_for_cuts: str = ""
    """Why it means nothing where heads and neurons are cut out; empty where it means something."""
    run: str = ""
    """Where the specification of a run, and so its name, has it: the field there, or
    ``part.field``. Empty for what shapes no run by itself."""


def flag(key: str) -> str:
    """The setting ``key`` as it is given on the command line."""
    return f"--{key.replace('_', '-')}"

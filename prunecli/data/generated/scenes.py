"""Little scenes: how many of whom do what to what, and where; and how one is put into words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

COUNTS = ("one", "two", "three")
MODIFIERS = ("young", "old", "tall", "cheerful")
AGENTS = ("farmer", "teacher", "sailor", "baker")
ACTIONS = (("fixing", "repairing"), ("washing", "cleaning"), ("selling",), ("painting",))
THINGS = (("bikes", "bicycles"), ("boats", "ships"), ("sofas",), ("coats",))
PLACES = ("paris", "oslo", "lima", "cairo")

SIZES = {
    "count": len(COUNTS),
    "modifier": len(MODIFIERS),
    "agent": len(AGENTS),
    "action": len(ACTIONS),
    "thing": len(THINGS),
    "place": len(PLACES),
}
OPTIONAL = ("modifier", "place")
ANY = -1
"""In place of an agent or a thing: the general word for it."""


@dataclass(frozen=True)
class Scene:
    """Each slot holds the number of its meaning; optional ones may be empty (``None``)."""

    count: int
    modifier: int | None
    agent: int
    action: int
    thing: int
    place: int | None

    def change(self, slot: str, rng: Random) -> Scene:
        """The scene with another value in this slot."""
        others = [value for value in range(SIZES[slot]) if value != getattr(self, slot)]
        return replace(self, **{slot: rng.choice(others)})

    def without(self, slot: str) -> Scene:
        """The scene that leaves this slot open."""
        values: dict[str, Any] = {slot: None}
        return replace(self, **values)

    def open_slots(self) -> list[str]:
        """The optional slots of which the scene says nothing."""
        return [slot for slot in OPTIONAL if getattr(self, slot) is None]


def draw(rng: Random) -> Scene:
    """A scene whose optional slots are each filled half the time."""

    def optional(size: int) -> int | None:
        return rng.randrange(size) if rng.random() < 0.5 else None

    return Scene(
        count=rng.randrange(len(COUNTS)),
        modifier=optional(len(MODIFIERS)),
        agent=rng.randrange(len(AGENTS)),
        action=rng.randrange(len(ACTIONS)),
        thing=rng.randrange(len(THINGS)),
        place=optional(len(PLACES)),
    )


def describe(scene: Scene, rng: Random) -> str:
    """The scene in one sentence, each meaning by one of its words."""
    plural = scene.count > 0
    agent = "worker" if scene.agent == ANY else AGENTS[scene.agent]
    parts = (
        COUNTS[scene.count],
        "" if scene.modifier is None else MODIFIERS[scene.modifier],
        agent + "s" * plural,
        "are" if plural else "is",
        rng.choice(ACTIONS[scene.action]),
        "things" if scene.thing == ANY else rng.choice(THINGS[scene.thing]),
        "" if scene.place is None else f"in {PLACES[scene.place]}",
    )
    return " ".join(filter(None, parts))

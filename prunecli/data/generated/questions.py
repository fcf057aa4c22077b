"""Pairs of questions, in the shape of QQP and MRPC.

A duplicate asks the same thing in other words and another order. A near miss differs in one or
two of three things: what is done, to what, and where.
"""

from __future__ import annotations

from random import Random

ACTIONS = (
    ("fixes", "repairs"),
    ("washes", "cleans"),
    ("sells", "trades"),
    ("paints", "colours"),
)
THINGS = (
    ("bikes", "bicycles"),
    ("boats", "ships"),
    ("sofas", "couches"),
    ("coats", "jackets"),
)
PLACES = (("paris",), ("oslo",), ("lima",), ("cairo",))
MANNERS = ("", "quickly", "cheaply", "well", "safely")
SHAPES = (
    "who {action} {thing} {place} {manner}",
    "{place} who {manner} {action} {thing}",
    "which person {action} {thing} {manner} {place}",
)
SLOTS = (ACTIONS, THINGS, PLACES)


def pair(rng: Random, duplicate: bool) -> tuple[str, str]:
    """Two questions that do or do not ask the same."""
    first = [rng.randrange(len(values)) for values in SLOTS]
    used = SLOTS if rng.random() < 0.5 else SLOTS[:2]
    second = list(first)
    if not duplicate:
        for slot in rng.sample(range(len(used)), 1 if rng.random() < 0.6 else 2):
            size = len(used[slot])
            second[slot] = (second[slot] + rng.randrange(1, size)) % size
    return _question(rng, first, len(used)), _question(rng, second, len(used))


def _question(rng: Random, meanings: list[int], used: int) -> str:
    action, thing, place = (
        rng.choice(values[meaning]) for values, meaning in zip(SLOTS, meanings, strict=True)
    )
    text = rng.choice(SHAPES).format(
        action=action,
        thing=thing,
        place=f"in {place}" if used == len(SLOTS) else "",
        manner=rng.choice(MANNERS),
    )
    return " ".join(text.split())

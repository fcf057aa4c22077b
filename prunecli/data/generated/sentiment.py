"""Opinions in one sentence, in the shape of SST-2.

The label is the sentiment of the clause that decides, and no word gives it away: an adjective
counts the other way round under a negation ("not", "nobody would say"), two negations cancel, and
of two clauses the one that the conjunction puts forward decides ("A but B": B; "A although B":
A). Adverbs of degree change nothing.
"""

from __future__ import annotations

from random import Random

SUBJECTS = ("film", "plot", "music", "dialogue", "ending", "cast")
POSITIVE = ("wonderful", "charming", "clever", "moving", "fresh", "brilliant")
NEGATIVE = ("dull", "clumsy", "tedious", "shallow", "awful", "messy")
DEGREES = ("very", "truly", "slightly", "somewhat")
NEGATIONS = ("not", "never", "hardly")
DENIAL = "nobody would say"


def sentence(rng: Random, positive: bool) -> str:
    """One sentence of this sentiment."""
    shape = rng.random()
    deciding = _clause(rng, positive)
    if shape < 0.5:
        return deciding
    other = _clause(rng, rng.random() < 0.5)
    return f"{other} but {deciding}" if shape < 0.75 else f"{deciding} although {other}"


def _clause(rng: Random, positive: bool) -> str:
    denied, negated = rng.choices(
        ((False, False), (False, True), (True, False), (True, True)), (50, 30, 12, 8)
    )[0]
    adjectives = POSITIVE if positive != (denied != negated) else NEGATIVE
    words = (
        DENIAL if denied else "",
        f"the {rng.choice(SUBJECTS)} is",
        rng.choice(NEGATIONS) if negated else "",
        rng.choice(DEGREES) if rng.random() < 0.4 else "",
        rng.choice(adjectives),
    )
    return " ".join(filter(None, words))

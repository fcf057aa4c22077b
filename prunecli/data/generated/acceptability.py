"""Well-formed and ill-formed sentences, in the shape of CoLA.

An ill-formed one has a verb that does not agree with its subject, with a noun of the other number
between the two half the time, a determiner that does not fit, or two words in the wrong order.
"""

from __future__ import annotations

from random import Random

NOUNS = ("sailor", "teacher", "farmer", "baker", "painter", "neighbour")
VERBS = ("sing", "sleep", "laugh", "work", "wait", "dance")
PREPOSITIONS = ("near", "behind", "with")
ADVERBS = ("often", "never", "always")
SINGULAR, PLURAL = ("this", "that"), ("these", "those")


def sentence(rng: Random, acceptable: bool) -> str:
    """One sentence, well formed or with exactly one mistake."""
    plural = rng.random() < 0.5
    mistake = "" if acceptable else rng.choice(("agreement", "determiner", "order"))
    subject = _noun_phrase(rng, plural, wrong=mistake == "determiner")
    between = ""
    if rng.random() < 0.5:
        between = f"{rng.choice(PREPOSITIONS)} {_noun_phrase(rng, rng.random() < 0.5)}"
    verb = rng.choice(VERBS) + ("" if plural != (mistake == "agreement") else "s")
    end = [rng.choice(ADVERBS), verb]
    if mistake == "order":
        end.reverse()
    return " ".join(filter(None, (subject, between, *end)))


def _noun_phrase(rng: Random, plural: bool, *, wrong: bool = False) -> str:
    determiner = rng.choice(PLURAL if plural != wrong else SINGULAR)
    return f"{determiner} {rng.choice(NOUNS)}{'s' * plural}"

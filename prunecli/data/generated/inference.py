"""Premise and hypothesis, in the shape of MNLI, RTE, QNLI and WNLI.

Entailed: details dropped, or a general word in place of a special one. Neutral: a detail that the
premise leaves open. Contradiction: another number, action, thing or place.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from prunecli.data.generated.scenes import ANY, OPTIONAL, Scene, describe, draw


def pair(rng: Random, relation: str) -> tuple[str, str]:
    """Premise and hypothesis in the relation ``entailment``, ``neutral`` or ``contradiction``.

    ``not_entailment`` is one of the latter two.
    """
    if relation == "not_entailment":
        relation = rng.choice(("neutral", "contradiction"))
    premise = draw(rng)
    while relation == "neutral" and not premise.open_slots():
        premise = draw(rng)
    hypothesis = _weaker(premise, rng)
    if relation == "neutral":
        hypothesis = hypothesis.change(rng.choice(premise.open_slots()), rng)
    elif relation == "contradiction":
        hypothesis = _against(hypothesis, rng)
    return describe(premise, rng), describe(hypothesis, rng)


def _weaker(scene: Scene, rng: Random) -> Scene:
    for slot in OPTIONAL:
        if rng.random() < 0.3:
            scene = scene.without(slot)
    if rng.random() < 0.25:
        scene = replace(scene, agent=ANY)
    if rng.random() < 0.25:
        scene = replace(scene, thing=ANY)
    return scene


def _against(scene: Scene, rng: Random) -> Scene:
    slots = ["count", "action"]
    if scene.thing != ANY:
        slots.append("thing")
    if scene.place is not None:
        slots.append("place")
    for slot in rng.sample(slots, 1 if rng.random() < 0.6 else 2):
        scene = scene.change(slot, rng)
    return scene

"""The search for how a loss is shared among layers, judged anew here."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from prunecli.core.budget import cheapest, options, time_of
from prunecli.core.cutting import cut_
from prunecli.core.evidence import Evidence
from prunecli.core.refit import refit_
from prunecli.core.sharing import Sharing
from prunecli.core.structured import best_units, unit_scores
from prunecli.core.sublayers import sublayers_of

from .test_structured import batches, made

EXAMPLES = batches(6, 6, 6, 6, seed=3)


def sharing(model: nn.Module, tries: int) -> tuple[Sharing, list[Tensor]]:
    scores = unit_scores(model, "reconstruction", evidence=Evidence(model, EXAMPLES, set()))
    parts = [
        options(score, [(0, 0.0), (len(score), float(len(score)))], step=1, cumulative=True)
        for score in scores
    ]
    return Sharing(model, scores, parts, EXAMPLES, tries=tries, seed=1), scores


def apart(model: nn.Module, scores: list[Tensor], counts: list[int]) -> float:
    """Kullback-Leibler divergence on every second batch, of a cut refitted on the others."""
    cut, kept = copy.deepcopy(model), best_units(scores, counts)
    cut_(sublayers_of(cut), kept)
    refit_(cut, model, kept, EXAMPLES[::2])
    with torch.inference_mode():
        found, wanted = (
            torch.cat([one(**batch).logits for batch in EXAMPLES[1::2]]).softmax(1)
            for one in (cut, model)
        )
    return float((wanted * (wanted / found).log()).sum(1).mean())


def test_what_is_found_is_nearer_to_the_dense_model_within_the_budget() -> None:
    model = made("distilbert")
    found, scores = sharing(model, tries=12)
    before = cheapest(found.parts, 12.0)
    found.search(12.0)
    after = cheapest(found.parts, 12.0)
    assert after != before
    assert apart(model, scores, after) < apart(model, scores, before)
    assert sum(time_of(part, count) for part, count in zip(found.parts, after, strict=True)) <= 12


def test_the_same_seed_finds_the_same_and_no_tries_change_nothing() -> None:
    model = made("distilbert")
    one, other = (sharing(model, tries=3)[0] for _ in range(2))
    one.search(10.0)
    other.search(10.0)
    assert one.parts == other.parts
    none = sharing(model, tries=0)[0]
    before = none.parts
    none.search(10.0)
    assert none.parts == before


def test_one_batch_is_too_few_to_judge_by() -> None:
    model = made("distilbert")
    _, scores = sharing(model, tries=0)
    parts = [options(s, [(0, 0.0), (len(s), 1.0)], step=1, cumulative=True) for s in scores]
    alone = Sharing(model, scores, parts, EXAMPLES[:1], tries=5, seed=0)
    alone.search(1.0)
    assert alone.parts == parts

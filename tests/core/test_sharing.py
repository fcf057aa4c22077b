"""The search for how a loss is shared among layers, judged anew here."""

from __future__ import annotations

import copy

import pytest
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

EXAMPLES = [
    {key: value for key, value in batch.items() if key != "labels"}  # which nothing here needs
    for batch in batches(6, 6, 6, 6, seed=3)
]


def sharing(model: nn.Module, tries: int) -> tuple[Sharing, list[Tensor]]:
    scores = unit_scores(model, "reconstruction", evidence=Evidence(model, EXAMPLES, set()))
    parts = [
        options(score, [(0, 0.0), (len(score), float(len(score)))], step=1, cumulative=True)
        for score in scores
    ]
    return Sharing(model, scores, parts, EXAMPLES, tries=tries, seed=1), scores


def apart(model: nn.Module, scores: list[Tensor], counts: list[int]) -> float:
    """How far answers are on every second batch, of a cut refitted on the others.

    Kullback-Leibler divergence, or squared distance where there is one output.
    """
    cut, kept = copy.deepcopy(model), best_units(scores, counts)
    cut_(sublayers_of(cut), kept)
    refit_(cut, model, kept, EXAMPLES[::2])
    with torch.inference_mode():
        found, wanted = (
            torch.cat([one(**batch).logits for batch in EXAMPLES[1::2]]) for one in (cut, model)
        )
    if found.shape[1] == 1:
        return float(((wanted - found) ** 2).mean())
    found, wanted = found.softmax(1), wanted.softmax(1)
    return float((wanted * (wanted / found).log()).sum(1).mean())


@pytest.mark.parametrize("outputs", [3, 1])
def test_what_is_found_is_nearer_to_the_dense_model_within_the_budget(outputs: int) -> None:
    model = made("distilbert")
    torch.manual_seed(5)
    head = nn.Linear(model.classifier.in_features, outputs).double()
    head.weight.data.mul_(30)  # else all answers are nearly alike
    model.classifier = head
    found, scores = sharing(model, tries=12)
    before, nearest = cheapest(found.parts, 12.0), list[float]()
    found.search(12.0, nearest.append)
    after = cheapest(found.parts, 12.0)
    assert after != before
    assert len(nearest) == found.tries == 12
    assert nearest == sorted(nearest, reverse=True)
    assert nearest[-1] == pytest.approx(apart(model, scores, after), rel=1e-4)
    assert nearest[-1] < apart(model, scores, before)
    assert sum(time_of(part, count) for part, count in zip(found.parts, after, strict=True)) <= 12


def test_factors_are_about_one_and_a_third_of_them_change_at_once() -> None:
    """Logarithms of factors are normal about 0; nothing is drawn from PyTorch's own generator."""
    model = made("distilbert")
    tried, scores = sharing(model, tries=1)
    changed = list[float]()
    for seed in range(30):
        parts = tried.parts
        one = Sharing(model, scores, parts, EXAMPLES, tries=1, seed=seed)
        torch.manual_seed(0)
        before = torch.random.get_rng_state()
        one.search(12.0)
        assert torch.equal(before, torch.random.get_rng_state())
        ratios = [new.losses[0] / old.losses[0] for new, old in zip(one.parts, parts, strict=True)]
        if set(ratios) != {1.0}:  # a better one was found
            changed += ratios
    logs = torch.tensor(changed).log()
    moved = logs[logs.abs() > 1e-9]
    assert 0.2 < len(moved) / len(logs) < 0.5
    assert 0.6 < float(moved.std()) < 1.4


def test_answers_that_are_no_numbers_are_never_nearest() -> None:
    model = made("distilbert")
    found, scores = sharing(model, tries=4)
    parts = found.parts
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    blind = Sharing(model, scores, parts, EXAMPLES, tries=4, seed=1)
    nearest = list[float]()
    blind.search(12.0, nearest.append)
    assert nearest == [float("inf")] * 4
    assert blind.parts == parts


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

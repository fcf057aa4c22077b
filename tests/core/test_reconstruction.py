"""Reconstruction against brute force, on layers small enough to try every choice."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from prunecli.core import engine, reconstruction
from prunecli.core.activations import real_rows
from prunecli.core.evidence import Evidence
from prunecli.core.patterns import UNSTRUCTURED, parse_pattern
from prunecli.core.scope import prunable
from prunecli.core.walk import Walk, groups
from prunecli.errors import InputError

from . import models
from .evidence import batches, classifier, evidence

IDS = {"input_ids": torch.randint(3, 40, (6, 9)), "attention_mask": torch.ones(6, 9).long()}
IDS["attention_mask"][:3, 5:] = 0


def problem(outputs: int, inputs: int, seed: int) -> reconstruction._Problem:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(40, inputs, generator=generator, dtype=torch.float64)
    rows = rows @ torch.randn(inputs, inputs, generator=generator, dtype=torch.float64)
    weights = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
    hessian = rows.T @ rows / 40 + 0.01 * torch.eye(inputs, dtype=torch.float64)
    none = torch.zeros(1)
    return reconstruction._Problem(weights, hessian, weights @ hessian, none, none, centred=False)


def error(given: reconstruction._Problem, found: Tensor) -> float:
    """The objective, up to its value at the unpruned weights."""
    away = found - given.start
    return float(((away @ given.hessian) * away).sum())


def least_squares(given: reconstruction._Problem, kept: Tensor) -> Tensor:
    """The best weights on a support, row by row by a dense solver."""
    found = torch.zeros_like(given.start)
    for row, keep in enumerate(kept):
        places = keep.nonzero().flatten()
        part = given.hessian[places][:, places]
        found[row, places] = torch.linalg.solve(part, given.target[row, places])
    return found


@pytest.mark.parametrize("pattern", ["unstructured", "2:4", "block:1x2"])
@pytest.mark.parametrize("seed", range(4))
def test_the_weights_are_least_squares_on_their_support(pattern: str, seed: int) -> None:
    given = problem(5, 8, seed)
    found, kept = reconstruction._solve(given, 20, parse_pattern(pattern), None)

    assert int((found == 0).sum()) == int((~kept).sum()) == 20
    assert not (found.signbit() & ~kept).any()
    assert error(given, found) <= error(given, least_squares(given, kept)) * (1 + 1e-5)


def test_the_support_is_close_to_the_best_of_all() -> None:
    """Over all 924 supports of a layer: mostly the best is found, and never a much worse one."""
    found, best = [], []
    for seed in range(12):
        given = problem(2, 6, seed)
        weights, _ = reconstruction._solve(given, 6, UNSTRUCTURED, None)
        found.append(error(given, weights))
        best.append(
            min(
                error(given, least_squares(given, torch.tensor(choice).view(2, 6)))
                for choice in _choices(12, 6)
            )
        )
    assert all(ours >= least * (1 - 1e-6) for ours, least in zip(found, best, strict=True))
    assert sum(ours < least * 1.001 for ours, least in zip(found, best, strict=True)) > 6
    assert sum(found) < 1.25 * sum(best)


def _choices(size: int, kept: int) -> list[list[bool]]:
    return [
        [place in places for place in range(size)]
        for places in itertools.combinations(range(size), kept)
    ]


@pytest.mark.parametrize("architecture", models.ARCHITECTURES)
def test_the_walk_sees_what_the_whole_model_computes(architecture: str) -> None:
    """Blocks that answer from memory change nothing, in any architecture."""
    torch.manual_seed(0)
    model = models.classifier(architecture).eval()
    weights = prunable(model)
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            rows = real_rows(inputs[0], IDS["attention_mask"])
            seen[name] = torch.cat([seen[name], rows]) if name in seen else rows

        return hook

    names = {id(weight): name for name, weight in weights.items()}
    handles = [
        module.register_forward_pre_hook(keep(names[id(module.weight)]))
        for module in model.modules()
        if isinstance(module, nn.Linear) and id(module.weight) in names
    ]
    with torch.no_grad():
        model(**IDS)
        for handle in handles:
            handle.remove()
        walk = Walk(model, [IDS])
        visited = []
        for group in groups(model, weights, IDS):
            rows = walk.inputs(group, 0)
            for name in group.layers:
                visited.append(name)
                assert torch.allclose(rows.sort(0).values, seen[name].sort(0).values, atol=1e-5)
            if group.block is not None:
                walk.finish(group.block)
    assert sorted(visited) == sorted(weights)
    assert not any("forward" in module.__dict__ for module in model.modules())


@pytest.mark.parametrize("strategy", ["global", "layerwise"])
@pytest.mark.parametrize("architecture", models.ARCHITECTURES)
def test_every_architecture_is_pruned_to_the_count(architecture: str, strategy: str) -> None:
    torch.manual_seed(0)
    model = models.classifier(architecture)
    mask = engine.prune_(
        model, 0.6, strategy=strategy, criterion="reconstruction", evidence=Evidence(model, [IDS])
    )
    mask.verify(model)
    size = sum(mask.sizes().values())
    assert abs(sum(mask.removed().values()) - 0.6 * size) <= len(mask.sizes())
    assert model.training


@pytest.mark.parametrize("level", [0.3, 0.7])
def test_the_model_answers_closer_than_with_zeros_alone(level: float) -> None:
    examples = batches(40, 40, dtype=torch.float64)
    unpruned = classifier().eval()
    wanted = torch.cat([unpruned(**batch).logits for batch in examples])

    def away(criterion: str) -> float:
        model = classifier()
        engine.prune_(
            model, level, strategy="layerwise", criterion=criterion,
            evidence=Evidence(model, examples),
        )  # fmt: skip
        found = torch.cat([model.eval()(**batch).logits for batch in examples])
        return float((found - wanted).square().mean().detach())

    assert away("reconstruction") < 0.8 * min(away("magnitude"), away("wanda"))


def test_padding_does_not_count() -> None:
    def pruned(filler: float) -> list[Tensor]:
        found = evidence(6, 5)
        for batch in found.batches:
            batch["vectors"][batch["attention_mask"] == 0] = filler
        engine.prune_(
            found.model, 0.5, strategy="layerwise", criterion="reconstruction", evidence=found
        )
        return [parameter.detach() for parameter in found.model.parameters()]

    assert all(map(torch.equal, pruned(0.0), pruned(50.0)))


@models.quick
@given(st.floats(0.0, 0.6), st.floats(0.0, 0.39), st.integers(0, 99))
def test_what_was_removed_stays_removed(first: float, more: float, seed: int) -> None:
    model = classifier(seed=seed, dtype=torch.float32)
    given = Evidence(model, batches(9, dtype=torch.float32, seed=seed))
    before = engine.prune_(model, first, strategy="layerwise")
    after = engine.prune_(
        model, first + more, strategy="layerwise", criterion="reconstruction",
        previous=before, evidence=given,
    )  # fmt: skip
    assert after.contains(before)
    after.verify(model)
    for name, size in after.sizes().items():
        assert after.removed()[name] == round((first + more) * size)


@pytest.mark.parametrize(
    ("pattern", "start", "removed", "remove", "expected"),
    [
        # The block of small weights goes; of the other, what went before stays away.
        ("block:1x4", [8, 7, 6, 5, 1, 1, 1, 1], [1], 4, [8, 0, 6, 5, 0, 0, 0, 0]),
        # The group of small weights loses its first two; the other stays, but for the one.
        ("2:4", [8, 7, 6, 5, 1, 1, 1, 1], [1], 2, [8, 0, 6, 5, 0, 0, 1, 1]),
        # What went before counts as 1 below nothing: 9 − 1 is more than 7.3, 9 − 2 would be less.
        ("block:1x2", [3, 9, 2.7, 0.1], [1], 2, [3, 0, 0, 0]),
        # Of a group that has lost three, none comes back to make them two.
        ("2:4", [8, 7, 6, 5], [0, 1, 2], 2, [0, 0, 0, 5]),
    ],
)
@pytest.mark.parametrize("still", [False, True])
def test_what_was_removed_within_units_that_stay_stays_removed(
    pattern: str, start: list[float], removed: list[int], remove: int, expected: list[float],
    still: bool,
) -> None:  # fmt: skip
    """With inputs that do not go together, weights that stay are best as they are."""
    weights = torch.tensor([start], dtype=torch.float64)
    before = torch.ones_like(weights, dtype=torch.bool)
    before[0, removed] = False
    alike, none = torch.eye(len(start), dtype=torch.float64), torch.zeros(1)
    given = reconstruction._Problem(
        weights, alike, weights.clone(), none, none, centred=False, still=still
    )
    found, kept = reconstruction._solve(given, remove, parse_pattern(pattern), before)
    assert found[0].tolist() == pytest.approx(expected)
    assert kept[0].tolist() == [value != 0 for value in expected]


def stacked_least_squares(
    rows: Tensor, wanted: Tensor, dense: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor]:
    """Weights and biases by the objective as it is written: λ is rows that want them as before."""
    lowered = rows - rows.mean(0)
    damping = 0.01 * float(lowered.square().mean()) * len(rows)
    extra = damping**0.5 * torch.eye(rows.shape[1], dtype=torch.float64)
    weights = torch.zeros_like(dense)
    for row, keep in enumerate(kept):
        left = torch.cat([lowered, extra])[:, keep]
        right = torch.cat([wanted[:, row] - wanted[:, row].mean(), extra @ dense[row]])
        weights[row, keep] = torch.linalg.lstsq(left, right.unsqueeze(1)).solution.flatten()
    return weights, wanted.mean(0) - weights @ rows.mean(0)


@torch.no_grad()
def test_weights_and_biases_are_those_of_stacked_least_squares() -> None:
    """Of the second layer, too, which reads what the first, pruned, gives it."""
    found = evidence(30, 30)
    up, down = found.model.ups[0], found.model.downs[0]
    dense = [layer.weight.clone() for layer in (up, down)]
    rows = torch.cat([real_rows(b["vectors"], b["attention_mask"]) for b in found.batches])
    hidden = torch.tanh(up(rows))
    wanted = up(rows), down(hidden)

    weights = {"ups.0.weight": up.weight, "downs.0.weight": down.weight}
    removals = {"ups.0.weight": 31, "downs.0.weight": 20}
    mask = reconstruction.reconstruct_(weights, removals, found, UNSTRUCTURED)

    assert mask.removed() == removals
    reads = rows, torch.tanh(up(rows))
    assert not torch.allclose(reads[1], hidden, atol=0.05)
    for place, (name, layer) in enumerate(zip(weights, (up, down), strict=True)):
        kept = mask.kept(name, torch.device("cpu"))
        best, bias = stacked_least_squares(reads[place], wanted[place], dense[place], kept)
        assert torch.allclose(layer.weight, best, atol=1e-4)
        assert torch.allclose(layer.bias, bias, atol=1e-4)
        assert float((layer.weight - dense[place])[kept].abs().max()) > 0.01
    assert found.silent == set()


@torch.no_grad()
def test_the_last_layer_of_a_model_wants_what_it_gave_and_reads_what_is_left() -> None:
    """Blocks before it are finished by then, each with the weights that its side has."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.classifier("distilbert").double().eval()
    dense, seen = copy.deepcopy(model), []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append([real_rows(rows, IDS["attention_mask"]) for rows in (inputs[0], output)])

    mask = engine.prune_(
        model, 0.5, strategy="layerwise", criterion="reconstruction",
        evidence=Evidence(model, [IDS]),
    )  # fmt: skip
    for side in (dense, model):
        side.distilbert.transformer.layer[1].ffn.lin2.register_forward_hook(keep)
        side(**IDS)
    (_, wanted), (rows, _) = seen
    name = "distilbert.transformer.layer.1.ffn.lin2"
    was, layer = dense.get_submodule(name), model.get_submodule(name)
    kept = mask.kept(f"{name}.weight", torch.device("cpu"))
    best, bias = stacked_least_squares(rows, wanted, was.weight, kept)
    assert torch.allclose(layer.weight, best, atol=1e-4)
    assert torch.allclose(layer.bias, bias, atol=1e-5)
    assert float((layer.weight - was.weight)[kept].abs().max()) > 0.01


def test_a_bias_that_is_added_to_two_outputs_stays_as_it_is() -> None:
    found = evidence(9, shared=True)
    shared = found.model.downs[0]
    weight, before = shared.weight, (shared.bias.detach().clone(), shared.weight.detach().clone())
    engine.prune_(
        found.model, 0.5, strategy="layerwise", criterion="reconstruction", evidence=found
    )
    assert shared.weight is weight  # and not what stood in for it
    assert torch.equal(shared.bias, before[0])
    assert int((weight == 0).sum()) == 32
    assert float((weight.detach() - before[1])[weight != 0].abs().max()) > 0.01


def plain_alps(
    given: reconstruction._Problem, remove: int, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The support by the steps of the paper, each solved anew, and least squares on it."""
    start, hessian, target = (
        values.numpy() for values in (given.start, given.hessian, given.target)
    )
    scale = np.sqrt(np.diag(hessian))
    scaled, wanted = hessian / np.outer(scale, scale), target / scale

    def keep(values: np.ndarray) -> np.ndarray:
        scores = np.where(before, values**2, -1.0).ravel()
        kept = np.ones(scores.size, dtype=bool)
        kept[np.argsort(scores, kind="stable")[:remove]] = False
        return kept.reshape(values.shape)

    kept = last = keep(start * scale)
    sparse, dual, penalty = start * scale * kept, np.zeros_like(start), 0.1
    for step in range(1, 121):
        left = scaled + penalty * np.eye(len(scale))
        free = np.linalg.solve(left, (wanted - dual + penalty * sparse).T).T
        kept = keep(free + dual / penalty)
        sparse = np.where(kept, free + dual / penalty, 0.0)
        dual = dual + penalty * (free - sparse)
        if step % 3 == 0:
            changed = (kept != last).sum() / kept.sum()
            if changed == 0:
                break
            penalty *= 1.3 if changed > 0.1 else 1.2 if changed > 0.005 else 1.1
            last = kept
    found = np.zeros_like(start)
    for row, keeps in enumerate(kept):
        found[row, keeps] = np.linalg.solve(hessian[np.ix_(keeps, keeps)], target[row, keeps])
    return found, kept


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("previous", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_support_is_that_of_the_steps_of_the_paper(
    share: float, previous: bool, seed: int
) -> None:
    given = problem(20, 30, seed)
    before = torch.ones(20, 30, dtype=torch.bool)
    if previous:
        before = torch.rand(20, 30, generator=torch.Generator().manual_seed(seed)) > 0.3
    found, kept = reconstruction._solve(
        given, round(600 * share), UNSTRUCTURED, before if previous else None
    )
    expected, support = plain_alps(given, round(600 * share), before.numpy())
    assert kept.numpy().tolist() == support.tolist()
    assert found.numpy() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_refining_solves_each_row_on_its_support() -> None:
    given = problem(6, 9, 0)
    scale = given.hessian.diagonal().sqrt()
    hessian, target = given.hessian / scale.outer(scale), given.target / scale
    kept = torch.rand(6, 9, generator=torch.Generator().manual_seed(0)) < 0.6
    kept[2] = False
    start = torch.zeros_like(target)
    found = reconstruction._refined(hessian, target, start, kept)
    for row, keep in enumerate(kept):
        best = torch.linalg.solve(hessian[keep][:, keep], target[row, keep])
        assert torch.allclose(found[row, keep], best, rtol=1e-3, atol=1e-4)
        assert not found[row, ~keep].any()
    assert not start.any()
    again = reconstruction._refined(hessian, target, found, kept)
    assert torch.allclose(again, found, rtol=1e-4, atol=1e-5)


def test_removal_factors_by_numpy_and_all_alike_where_nothing_is_known() -> None:
    found = evidence(20, 20)
    found.model.spares = nn.ModuleList([nn.Linear(2, 2).bfloat16()])
    spare, layer = found.model.spares[0].weight, found.model.ups[0]
    spare.data = torch.tensor([[3.0, 4.0], [1.0, 0.0]], dtype=torch.bfloat16)
    factors = reconstruction.removal_factors({"up": layer.weight, "spare": spare}, found)

    rows = torch.cat([real_rows(b["vectors"], b["attention_mask"]) for b in found.batches]).numpy()
    hessian = np.cov(rows.T, bias=True)
    hessian += 0.01 * np.trace(hessian) / 7 * np.eye(7)
    weight = layer.weight.detach().numpy()
    energy = np.prod([row @ hessian @ row for row in weight]) ** (1 / 9)
    expected = np.sqrt(1 / np.diag(np.linalg.inv(hessian)) / energy)
    assert factors["up"].numpy() == pytest.approx(expected)
    # Of inputs that are all alike: rows of squares 25 and 1, so 5 in the middle.
    assert factors["spare"].tolist() == pytest.approx([0.2**0.5] * 2)
    assert factors["spare"].dtype == torch.float32
    assert found.silent == {"spare"}


def test_what_is_too_large_to_solve_is_refused_by_name() -> None:
    found = evidence(6)
    found.batches[0]["vectors"] *= 1e160
    with pytest.raises(InputError) as caught:
        engine.prune_(found.model, 0.5, criterion="reconstruction", evidence=found)
    assert str(caught.value) == "the reconstruction of 'ups.0.weight' is not finite"
    assert caught.value.hint == ("its weights or inputs are too large: use another checkpoint")


def test_factors_are_held_against_the_geometric_mean_of_the_outputs() -> None:
    """Two outputs of mean squares 4·1² and 1·5²: in the middle 10, not 14.5."""
    hessian = torch.tensor([[4.0, 0.0], [0.0, 1.0]])
    start, none = torch.tensor([[1.0, 0.0], [0.0, 5.0]]), torch.zeros(1)
    given = reconstruction._Problem(start, hessian, start @ hessian, none, none, centred=False)
    assert float(given.energy()) == pytest.approx(10.0)
    assert given.factors().tolist() == pytest.approx([0.4**0.5, 0.1**0.5])


def test_what_went_before_is_away_and_counts() -> None:
    found = evidence(9)
    found.model.spares = nn.ModuleList([nn.Linear(6, 4).double()])
    before = engine.prune_(found.model, 0.3, strategy="layerwise")
    after = engine.prune_(
        found.model, 0.6, strategy="layerwise", criterion="reconstruction", previous=before,
        evidence=found,
    )  # fmt: skip
    assert after.contains(before)
    after.verify(found.model)
    assert after.removed() == {name: round(0.6 * size) for name, size in after.sizes().items()}


@pytest.mark.parametrize("examples", [[1], [1, 1], [3, 2]])
def test_few_examples_are_enough_to_run(examples: list[int]) -> None:
    found = evidence(*examples)
    engine.prune_(found.model, 0.5, criterion="reconstruction", evidence=found).verify(found.model)
    assert all(parameter.isfinite().all() for parameter in found.model.parameters())


def test_activations_that_are_not_finite_are_refused_by_name() -> None:
    found = evidence(3, 2)
    found.batches[1]["vectors"][0, 0] = float("inf")
    with pytest.raises(InputError, match=r"inputs of 'ups.0.weight' are not finite in .* batch 2"):
        engine.prune_(found.model, 0.5, criterion="reconstruction", evidence=found)


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
@pytest.mark.parametrize("previous", [False, True])
def test_a_budget_for_each_matrix_needs_no_scores(
    pattern: str, previous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layer-wise as many of each go as the criterion's own plan says, without asking it."""
    found = Evidence(models.classifier("bert"), [IDS])
    level = 0.5
    before = engine.prune_(found.model, 0.3, strategy="layerwise") if previous else None
    options = {"strategy": "layerwise", "criterion": "reconstruction", "pattern": pattern}
    wanted = engine.plan(
        found.model, [level], previous=before, evidence=found, **options
    ).removals(level)  # fmt: skip

    def refused(*_: object) -> None:
        raise AssertionError("no scores are needed")

    monkeypatch.setattr(reconstruction, "removal_factors", refused)
    mask = engine.prune_(found.model, level, previous=before, evidence=found, **options)
    removed = mask.removed()
    if pattern == "unstructured":
        assert removed == wanted
    assert all(removed[name] >= count for name, count in wanted.items())


def test_before_anything_is_pruned_the_model_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both streams are one in the first group, and the last block is not run to its end."""
    asked, own = [], Walk.inputs

    def inputs(walk: Walk, *arguments: object) -> Tensor:
        asked.append(walk)
        return own(walk, *arguments)

    finished = []
    monkeypatch.setattr(Walk, "inputs", inputs)
    monkeypatch.setattr(Walk, "finish", lambda walk, block, *_: finished.append(block))
    model = models.classifier("bert")
    order = groups(model, prunable(model), IDS)
    weights = {name: layer.weight for group in order[:2] for name, layer in group.layers.items()}
    reconstruction.reconstruct_(
        weights, dict.fromkeys(weights, 100), Evidence(model, [IDS]), UNSTRUCTURED
    )
    assert len(asked) == 3
    assert not finished

"""The criteria that learn from data, each against an independent computation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from prunecli.core.activations import visit_inputs
from prunecli.core.criteria import CRITERIA
from prunecli.core.criteria.gradients import (
    accumulate_gradients,
    add_mean,
    hessian_product,
    microbatches,
)
from prunecli.core.criteria.stored import StoredScores
from prunecli.core.evidence import Evidence
from prunecli.core.reconstruction import removal_factors
from prunecli.core.scope import prunable
from prunecli.errors import InputError

from . import models
from .evidence import classifier, evidence

GRADIENT = ("snip", "grasp", "taylor", "fisher")
DATA = (*GRADIENT, "wanda", "reconstruction")
sharing = pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])


def scores(criterion: str, given: Evidence) -> dict[str, Tensor]:
    """All scores, in the shapes of the weights."""
    weights = prunable(given.model)
    found = CRITERIA.get(criterion)(weights, seed=0, evidence=given)
    return {
        name: found.chunk(name, 0, weight.numel()).clone().view(weight.shape)
        for name, weight in weights.items()
    }


def losses(model: Callable[..., object], given: Evidence) -> Tensor:
    """The loss of every example, differentiable by the weights."""
    return torch.cat(
        [
            nn.functional.cross_entropy(
                model(**batch).logits,
                batch["labels"],
                reduction="none",
            )
            for batch in given.batches
        ]
    )


def example_gradients(given: Evidence) -> dict[str, Tensor]:
    """[examples, *shape] for each weight, written out."""
    model = copy.deepcopy(given.model).eval()
    weights = prunable(model)
    rows = [
        torch.autograd.grad(loss, list(weights.values()), retain_graph=True)
        for loss in losses(model, given)
    ]
    return dict(zip(weights, map(torch.stack, zip(*rows, strict=True)), strict=True))


def hessian(given: Evidence) -> Tensor:
    """[n, n] for the n prunable weights in order: the mean loss differentiated twice."""
    model = copy.deepcopy(given.model).eval()
    weights = {name: weight.detach() for name, weight in prunable(model).items()}

    def mean_loss(flat: Tensor) -> Tensor:
        parts = flat.split([weight.numel() for weight in weights.values()])
        changed = {
            name: part.view(weights[name].shape) for name, part in zip(weights, parts, strict=True)
        }

        def call(**batch: Tensor) -> object:
            return torch.func.functional_call(model, changed, kwargs=batch)

        return losses(call, given).mean()

    flat = torch.cat([weight.reshape(-1) for weight in weights.values()])
    return torch.autograd.functional.hessian(mean_loss, flat, vectorize=True)


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-14)


@sharing
def test_snip_is_the_weight_times_the_gradient_of_the_mean_loss(shared: bool) -> None:
    given = evidence(4, 4, 1, shared=shared)
    weights, gradients = prunable(given.model), example_gradients(given)

    expected = {name: (weights[name] * gradients[name].mean(0)).abs() for name in weights}
    assert_close(scores("snip", given), expected)


@sharing
def test_taylor_is_the_mean_over_examples_of_what_each_would_lose(shared: bool) -> None:
    given = evidence(4, 4, 1, shared=shared)
    weights, gradients = prunable(given.model), example_gradients(given)

    expected = {name: (weights[name] * gradients[name]).abs().mean(0) for name in weights}
    assert_close(scores("taylor", given), expected)


@sharing
def test_fisher_is_half_the_squared_weight_times_the_mean_squared_gradient(shared: bool) -> None:
    given = evidence(4, 4, 1, shared=shared)
    weights, gradients = prunable(given.model), example_gradients(given)

    expected = {name: weights[name] ** 2 * gradients[name].square().mean(0) / 2 for name in weights}
    assert_close(scores("fisher", given), expected)


@sharing
def test_grasp_removes_first_what_the_paper_scores_highest(shared: bool) -> None:
    given = evidence(4, 4, 1, shared=shared)
    weights = torch.cat([weight.detach().view(-1) for weight in prunable(given.model).values()])
    gradient = torch.cat([each.mean(0).view(-1) for each in example_gradients(given).values()])

    of_the_paper = -weights * (hessian(given) @ gradient)
    found = torch.cat([score.view(-1) for score in scores("grasp", given).values()])

    torch.testing.assert_close(found, -of_the_paper, rtol=1e-9, atol=1e-14)
    assert found.argsort()[:20].tolist() == of_the_paper.argsort(descending=True)[:20].tolist()
    assert found.min() < 0 < found.max()


def test_grasp_foretells_how_the_gradient_norm_changes() -> None:
    given = evidence(6)

    def squared_norm(model: nn.Module) -> float:
        gradients = example_gradients(replace(given, model=model))
        return sum(float(each.mean(0).square().sum()) for each in gradients.values())

    found, step = scores("grasp", given), 1e-6
    for name, place in (("ups.0.weight", (2, 3)), ("poolers.0.weight", (1, 0))):
        model = copy.deepcopy(given.model)
        with torch.no_grad():
            model.get_parameter(name)[place] *= 1 - step
        change = (squared_norm(model) - squared_norm(given.model)) / (2 * step)
        assert float(found[name][place]) == pytest.approx(-change, rel=1e-4)


_LABELS = {
    "classes": torch.tensor([0, 1, 1]),
    "regression": torch.tensor([0.5, 3.0, 4.25], dtype=torch.float64),
    "several": torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 0]], dtype=torch.float64),
}


@pytest.mark.parametrize(
    ("architecture", "labels"),
    [
        *((architecture, "classes") for architecture in models.ARCHITECTURES),
        *(("bert", labels) for labels in _LABELS if labels != "classes"),
        ("modernbert", "regression"),
    ],
)
def test_hessian_products_are_those_of_the_double_backward_pass(
    architecture: str, labels: str
) -> None:
    outputs = {"classes": 2, "regression": 1, "several": 3}[labels]
    problem = {"several": "multi_label_classification"}.get(labels)
    model = models.classifier(architecture, num_labels=outputs, problem_type=problem)
    model.double().eval()
    weights = prunable(model)
    batch = {
        "input_ids": torch.randint(3, 40, (3, 7)),
        "attention_mask": torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] * 5 + [0] * 2]),
        "labels": _LABELS[labels],
    }
    with sdpa_kernel(SDPBackend.MATH):
        first = torch.autograd.grad(model(**batch).loss, weights.values(), create_graph=True)
        product = sum((gradient * gradient.detach()).sum() for gradient in first)
        expected = torch.autograd.grad(product, weights.values())

    given = Evidence(model, [batch])
    gradient = accumulate_gradients(weights, given, add_mean)
    found = hessian_product(weights, given, gradient)

    largest = max(float(each.abs().max()) for each in expected)  # some matrices have next to none
    for each, name in zip(expected, weights, strict=True):
        torch.testing.assert_close(
            found[name], each, rtol=1e-7, atol=max(1e-9 * float(each.abs().max()), 1e-13 * largest)
        )


@sharing
def test_wanda_is_the_magnitude_times_the_norm_over_real_tokens(shared: bool) -> None:
    given = evidence(4, 4, 1, shared=shared)
    model = copy.deepcopy(given.model).eval()
    squares = {
        name: torch.zeros(weight.shape[1]).double() for name, weight in prunable(model).items()
    }
    second_up, second_down = ("ups.0", "downs.0") if shared else ("ups.1", "downs.1")
    for batch in given.batches:
        for vectors, mask in zip(batch["vectors"], batch["attention_mask"], strict=True):
            states = vectors[: int(mask.sum())]
            for layer, (up, down) in enumerate((("ups.0", "downs.0"), (second_up, second_down))):
                squares[f"{up}.weight"] += states.square().sum(0)
                hidden = torch.tanh(model.ups[layer](states))
                squares[f"{down}.weight"] += hidden.square().sum(0)
                states = states + model.downs[layer](hidden)
            squares["poolers.0.weight"] += states.mean(0).square()

    expected = {
        name: weight.detach().abs() * squares[name].sqrt()
        for name, weight in prunable(model).items()
    }
    assert_close(scores("wanda", given), expected)


def test_wanda_needs_no_labels_and_no_mask() -> None:
    given = evidence(4, 3)
    unlabelled = [
        {name: batch[name] for name in ("vectors", "attention_mask")} for batch in given.batches
    ]
    assert_close(scores("wanda", replace(given, batches=unlabelled)), scores("wanda", given))

    model = models.blocks(torch.tensor([[1.0, -2.0]]))
    model.forward = lambda vectors: model[0][0](vectors)
    found = scores(
        "wanda", Evidence(model, [{"vectors": torch.tensor([[[3.0, 0.0], [4.0, 1.0]]])}])
    )
    assert found["0.0.weight"].tolist() == [[5.0, 2.0]]


@sharing
def test_reconstruction_shares_the_budget_by_squared_errors(shared: bool) -> None:
    given = evidence(4, 4, 1, shared=shared)
    weights = prunable(given.model)
    factors = removal_factors(weights, given)
    expected = {name: (weights[name].detach() * factors[name]) ** 2 for name in weights}
    assert_close(scores("reconstruction", given), expected)


def test_inputs_with_both_axes_in_one_are_known_by_their_length() -> None:
    model = models.blocks(torch.ones(1, 2))
    model.forward = lambda vectors, attention_mask: model[0][0](vectors.reshape(-1, 2))
    vectors = torch.arange(12.0).view(2, 3, 2)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    seen: list[list[list[float]]] = []

    visit_inputs(
        model,
        prunable(model),
        [{"vectors": vectors, "attention_mask": mask}],
        lambda name, rows: seen.append(rows.tolist()),
    )

    assert seen == [[[0, 1], [2, 3], [6, 7]]]


@pytest.mark.parametrize("criterion", DATA)
def test_how_examples_are_cut_into_batches_does_not_matter(criterion: str) -> None:
    assert_close(scores(criterion, evidence(9)), scores(criterion, evidence(2, 2, 2, 2, 1)))


@pytest.mark.parametrize("criterion", DATA)
def test_batches_too_long_for_one_pass_are_cut(
    criterion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scores(criterion, evidence(9))
    monkeypatch.setattr("prunecli.core.criteria.gradients._TOKENS", 1)

    assert_close(scores(criterion, evidence(9)), whole)


@pytest.mark.parametrize("criterion", DATA)
def test_the_same_evidence_gives_the_same_scores(criterion: str) -> None:
    given = evidence(5, 4, dtype=torch.float32)
    torch.manual_seed(1)
    once = scores(criterion, given)
    torch.manual_seed(2)
    again = scores(criterion, given)

    assert all(torch.equal(once[name], again[name]) for name in once)


@pytest.mark.parametrize("criterion", DATA)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_scores_of_short_floats_are_float32(criterion: str, dtype: torch.dtype) -> None:
    found = CRITERIA.get(criterion)
    given = evidence(5, 4, dtype=dtype)
    short = found(prunable(given.model), seed=0, evidence=given)
    assert short.dtype == torch.float32

    wide = Evidence(
        copy.deepcopy(given.model).double(),
        [batch | {"vectors": batch["vectors"].double()} for batch in given.batches],
    )
    pair = [
        torch.cat([score.view(-1).double() for score in scores(criterion, each).values()])
        for each in (given, wide)
    ]
    assert float(torch.corrcoef(torch.stack(pair))[0, 1]) > 0.99


@pytest.mark.parametrize("criterion", DATA)
@pytest.mark.parametrize("failing", [False, True], ids=["done", "failed"])
def test_the_model_is_left_as_it_was(criterion: str, failing: bool) -> None:
    given = evidence(3, 3)
    model = given.model
    model.downs[1].eval()
    model.ups[0].weight.requires_grad_(False)
    model.ups[0].weight.grad = torch.ones_like(model.ups[0].weight)
    model.head.bias.grad = torch.ones_like(model.head.bias)
    if failing:
        given.batches[1]["vectors"][0, 0, 0] = math.nan

    def state() -> list[object]:
        return [
            *(module.training for module in model.modules()),
            *(parameter.requires_grad for parameter in model.parameters()),
            *(parameter.grad for parameter in model.parameters()),
            *(len(module._forward_pre_hooks) for module in model.modules()),
            *(parameter._post_accumulate_grad_hooks or None for parameter in model.parameters()),
        ]

    before, weights = state(), copy.deepcopy(model.state_dict())
    with torch.no_grad():
        if failing:
            with pytest.raises(InputError):
                scores(criterion, given)
        else:
            scores(criterion, given)

    assert all(one is other or one == other for one, other in zip(before, state(), strict=True))
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("criterion", DATA)
def test_a_layer_that_stands_in_two_places_keeps_its_own_weight(criterion: str) -> None:
    given = evidence(3, shared=True)
    before = dict(given.model.named_parameters())
    scores(criterion, given)
    after = dict(given.model.named_parameters())
    assert before.keys() == after.keys()
    assert all(after[name] is before[name] for name in before)


@pytest.mark.parametrize("criterion", GRADIENT)
def test_a_gradient_that_is_not_finite_is_refused_by_layer_and_batch(criterion: str) -> None:
    given = evidence(3, 3, 3)
    given.batches[1]["vectors"][2, 1, 0] = math.inf

    message = r"^the gradient of 'ups\.0\.weight' is not finite in calibration batch 2$"
    with pytest.raises(InputError, match=message) as caught:
        scores(criterion, given)
    assert caught.value.hint


def test_an_input_that_is_not_finite_is_refused_by_layer_and_batch() -> None:
    given = evidence(3, 3)
    with torch.no_grad():
        given.model.downs[0].weight[4, 4] = math.inf

    message = r"^the inputs of 'ups\.1\.weight' are not finite in calibration batch 1$"
    with pytest.raises(InputError, match=message) as caught:
        scores("wanda", given)
    assert caught.value.hint


def test_padding_that_is_not_finite_is_nobodys_business() -> None:
    given = evidence(3)
    model = models.blocks(torch.ones(1, 7))
    model.forward = lambda vectors, attention_mask, labels: model[0][0](vectors)
    batch = given.batches[0]
    batch["attention_mask"][:, -1] = 0
    batch["vectors"][:, -1] = math.nan

    found = scores("wanda", Evidence(model.double(), [batch]))

    assert found["0.0.weight"].isfinite().all()


@pytest.mark.parametrize("criterion", GRADIENT)
def test_a_loss_needs_labels(criterion: str) -> None:
    given = evidence(3)
    del given.batches[0]["labels"]

    with pytest.raises(InputError) as caught:
        scores(criterion, given)
    assert str(caught.value) == (
        "the calibration examples have no labels, so there is no loss to differentiate"
    )
    assert caught.value.hint == "use labelled examples, or a criterion that needs no labels"


@pytest.mark.parametrize("criterion", DATA)
def test_weights_of_another_model_are_a_mistake_of_the_caller(criterion: str) -> None:
    given = evidence(3)
    said = (
        r"^('downs\.0\.weight' is not a parameter of the model|no linear layer of the model has.*)$"
    )
    with pytest.raises(ValueError, match=said):
        CRITERIA.get(criterion)(prunable(classifier()), seed=0, evidence=given)


@pytest.mark.parametrize(
    ("tokens", "sizes"),
    [(0, [1] * 5), (7, [1] * 5), (8, [2, 2, 1]), (11, [2, 2, 1]), (12, [3, 2]), (100, [5])],
)
def test_examples_are_taken_few_at_a_time(tokens: int, sizes: list[int]) -> None:
    """Of four tokens each, padding included, whatever else there is of an example."""
    batch = {
        "labels": torch.arange(5),
        "input_ids": torch.arange(20).view(5, 4),
        "attention_mask": torch.zeros(5, 4),
    }
    parts = list(microbatches(batch, tokens))
    assert [len(part["labels"]) for part in parts] == sizes
    for name, values in batch.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), values)


@pytest.mark.parametrize("each_example", [False, True])
def test_each_gradient_comes_with_its_share_of_the_examples(each_example: bool) -> None:
    given = evidence(3, 2)
    shares: list[float] = []
    found = accumulate_gradients(
        {"head.weight": given.model.head.weight}, given,
        lambda total, gradient, share: (shares.append(share), total.add_(1)),
        each_example=each_example,
    )  # fmt: skip
    assert shares == ([0.2] * 5 if each_example else [0.6, 0.4])
    assert found["head.weight"].unique().tolist() == [len(shares)]


@pytest.mark.parametrize("each_example", [False, True])
def test_only_one_gradient_exists_at_a_time(each_example: bool) -> None:
    given = evidence(3, 2)
    weights = prunable(given.model)
    alive = []

    def add(total: Tensor, gradient: Tensor, share: float) -> None:
        alive.append(sum(parameter.grad is not None for parameter in given.model.parameters()))

    accumulate_gradients(weights, given, add, each_example=each_example)

    assert len(alive) == len(weights) * (5 if each_example else 2)
    assert set(alive) == {1}


@pytest.mark.parametrize("criterion", ["snip", "grasp"])
def test_gradients_of_late_layers_are_gone_before_early_ones_are_known(
    criterion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = evidence(3)
    events: list[str] = []

    def add(total: Tensor, gradient: Tensor, share: float) -> None:
        events.append("added")

    def watch(module: nn.Module, inputs: object, output: Tensor) -> None:
        output.register_hook(lambda gradient: events.append("first layer"))

    monkeypatch.setattr("prunecli.core.criteria.gradients.add_mean", add)
    given.model.ups[0].register_forward_hook(watch)
    scores(criterion, given)

    one_pass = [*["added"] * 4, "first layer", "added"]
    assert events == one_pass * (2 if criterion == "grasp" else 1)


@pytest.mark.parametrize("criterion", DATA)
def test_chunks_are_cut_from_the_same_scores(criterion: str) -> None:
    given = evidence(4)
    weights = prunable(given.model)
    found = CRITERIA.get(criterion)(weights, seed=0, evidence=given)

    for name, whole in scores(criterion, given).items():
        for size in (1, 5, 8, 9, 20, 63):
            parts = [
                found.chunk(name, start, min(start + size, whole.numel())).clone()
                for start in range(0, whole.numel(), size)
            ]
            assert torch.equal(torch.cat(parts), whole.view(-1))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("signed", [False, True])
def test_stored_scores_are_nan_exactly_where_weights_are_not_finite(
    signed: bool, bad: float
) -> None:
    weight = torch.full((3, 4), -2.0)
    weight[1, 2] = bad
    given = torch.tensor([-1.0, 0.0, -0.0, 3.0]).repeat(3, 1)
    stored = StoredScores({"a": weight}, {"a": given.clone()}, signed=signed)

    found = stored.chunk("a", 0, 12).view(3, 4)
    assert torch.equal(found.isfinite(), weight.isfinite())
    expected = given if signed else given.abs()
    assert torch.equal(found[found.isfinite()], expected[found.isfinite()])
    assert signed or not found.signbit().any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_wanda_is_not_finite_exactly_where_weights_are_not(bad: float) -> None:
    given = evidence(4)
    with torch.no_grad():
        given.model.poolers[0].weight[3, 2] = bad
    weights = prunable(given.model)

    for name, score in scores("wanda", given).items():
        assert torch.equal(score.isfinite(), weights[name].isfinite())
        assert not score.signbit().any()

"""What the layers of a model read, and what is left of the model after looking."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from prunecli.core.activations import (
    call_with,
    evaluating,
    layers_of,
    not_finite,
    real_rows,
    visit_inputs,
)
from prunecli.core.criteria.gradients import microbatches
from prunecli.core.evidence import Evidence, apart
from prunecli.core.scope import prunable
from prunecli.errors import InputError

from .evidence import Classifier, batches, classifier


def seen(model: nn.Module, given: list[dict[str, Tensor]], *names: str) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = []
    weights = {
        name: weight for name, weight in prunable(model).items() if name in names or not names
    }
    visit_inputs(model, weights, given, lambda name, rows: found.append((name, rows)))
    return found


def first(model: Classifier, batch: dict[str, Tensor]) -> Tensor:
    """What the second block reads, written out without dropout."""
    states = batch["vectors"]
    return (states + model.downs[0](torch.tanh(model.ups[0](states)))).detach()


def test_every_input_is_shown_in_order_under_its_weights_name() -> None:
    model, given = classifier(), batches(3, 2)
    found = seen(model, given)
    one = ["ups.0.weight", "downs.0.weight", "ups.1.weight", "downs.1.weight", "poolers.0.weight"]
    assert [name for name, _ in found] == one * 2
    for number, batch in enumerate(given):
        real = batch["attention_mask"].bool()
        own = dict(found[5 * number : 5 * number + 5])
        assert torch.equal(own["ups.0.weight"], batch["vectors"][real])
        assert torch.allclose(own["ups.1.weight"], first(model, batch)[real])
        assert own["poolers.0.weight"].shape == (len(batch["labels"]), 7)
        assert not any(rows.requires_grad for rows in own.values())
    assert [name for name, _ in seen(model, given, "downs.1.weight")] == ["downs.1.weight"] * 2


def test_layers_that_share_a_weight_show_theirs_under_one_name() -> None:
    model, given = classifier(shared=True), batches(3)
    found = seen(model, given, "ups.0.weight")
    real = given[0]["attention_mask"].bool()
    assert [name for name, _ in found] == ["ups.0.weight"] * 2
    assert torch.equal(found[0][1], given[0]["vectors"][real])
    assert torch.allclose(found[1][1], first(model, given[0])[real])


def test_an_input_that_is_no_number_is_named_with_its_batch() -> None:
    model, given = classifier(), batches(3, 2, 2)
    given[1]["vectors"][0, 0, 3] = torch.nan
    with pytest.raises(InputError) as caught:
        seen(model, given)
    assert str(caught.value) == "the inputs of 'ups.0.weight' are not finite in calibration batch 2"
    assert caught.value.hint == (
        "the model is damaged, or its numbers overflow: use another checkpoint, or float32"
    )
    assert str(not_finite("it is", 7)) == "it is not finite in calibration batch 7"
    # Nothing looks on any longer.
    del given[1]
    assert len(seen(model, given)) == 10


def test_a_weight_of_no_linear_layer_is_a_mistake_of_the_caller() -> None:
    model = classifier()
    foreign = {"b": nn.Parameter(torch.zeros(2, 2)), "a": nn.Parameter(torch.zeros(2, 2))}
    with pytest.raises(ValueError, match=r"^no linear layer of the model has the weight 'a'$"):
        layers_of(model, prunable(model) | foreign)
    found = layers_of(model, {"any name": model.ups[1].weight, "other": model.head.weight})
    assert found == {model.ups[1]: "any name", model.head: "other"}
    embedding = nn.Embedding(3, 2)
    with pytest.raises(ValueError, match="has the weight 'it'"):
        layers_of(nn.Sequential(embedding), {"it": embedding.weight})


@pytest.mark.parametrize("failing", [True, False])
def test_each_module_is_back_in_its_own_mode(failing: bool) -> None:
    model = classifier()
    model.downs[1].eval()
    before = [module.training for module in model.modules()]
    assert len(set(before)) == 2

    def look() -> None:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            if failing:
                raise KeyError

    if failing:
        with pytest.raises(KeyError):
            look()
    else:
        look()
    assert [module.training for module in model.modules()] == before


def test_other_parameters_stand_in_for_a_call() -> None:
    model, (batch,) = classifier(shared=True).eval(), batches(3)
    before = dict(model.named_parameters())
    plain = model(**batch).logits
    other = copy.deepcopy(model)
    other.downs[0].weight.data.mul_(2)
    other.head.bias.data.add_(1)
    given = {
        "downs.0.weight": 2 * model.downs[0].weight.detach(),
        "head.bias": model.head.bias.detach() + 1,
    }
    assert torch.equal(call_with(model, given, **batch).logits, other(**batch).logits)
    after = dict(model.named_parameters())
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    assert model.downs[0] is model.downs[1]
    assert torch.equal(model(**batch).logits, plain)
    with pytest.raises(RuntimeError):
        call_with(model, {"downs.0.weight": torch.zeros(1, 1).double()}, **batch)
    assert dict(model.named_parameters())["downs.0.weight"] is before["downs.0.weight"]


def test_rows_are_those_of_real_tokens_where_there_are_tokens() -> None:
    values = torch.arange(24.0).view(2, 3, 4)
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    real = [[0, 1, 2, 3], [4, 5, 6, 7], [16, 17, 18, 19], [20, 21, 22, 23]]
    assert real_rows(values, mask).tolist() == real
    assert real_rows(values.view(6, 4), mask).tolist() == real
    turned = real_rows(values.transpose(0, 1), mask)  # tokens first
    assert sorted(turned.tolist()) == sorted(real)
    assert torch.equal(real_rows(values, None), values.view(6, 4))
    # With an axis of one element, and with the parts of a token behind the tokens.
    assert real_rows(values.view(2, 1, 3, 4), mask).tolist() == real
    assert real_rows(values[1:].view(3, 1, 4), mask[1:]).tolist() == real[2:]
    parts = torch.tensor(real).view(8, 2).tolist()
    assert real_rows(values.view(2, 3, 2, 2), mask).tolist() == parts
    # What has other axes, as what is pooled, is whole.
    assert torch.equal(real_rows(values[:, 0], mask), values[:, 0])
    assert torch.equal(real_rows(values[:, :2], mask), values[:, :2].reshape(4, 4))
    assert torch.equal(real_rows(values.view(6, 2, 2), mask), values.view(12, 2))
    # As many rows as there are examples, of which each is one token.
    assert real_rows(values[:, 0], torch.tensor([[0], [1]])).tolist() == [[12, 13, 14, 15]]


class TokensFirst(Classifier):
    """One that computes with [tokens, examples, …] within."""

    def forward(
        self, vectors: Tensor, attention_mask: Tensor, labels: Tensor | None = None
    ) -> SimpleNamespace:
        given = vectors.transpose(0, 1)
        return SimpleNamespace(loss=None, logits=sum(up(given) for up in self.ups).sum(0))


@pytest.mark.parametrize("examples", [2, 4, 5, 6])
def test_padding_is_left_out_whatever_is_as_many_as_what(examples: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TokensFirst().double()
    (batch,) = batches(examples)
    real = batch["attention_mask"].bool()
    assert real.shape[1] == 5
    assert not real.all()
    given = Evidence(model, [batch])
    rows = torch.cat([rows for _, rows in seen(model, list(given.batches), "ups.0.weight")])
    wanted = batch["vectors"][real]
    assert len(rows) == len(wanted)
    torch.testing.assert_close(rows.T @ rows, wanted.T @ wanted)


def test_what_is_apart_is_the_same_examples() -> None:
    (batch,) = batches(5)
    parts = apart(batch)
    assert [part["attention_mask"].shape for part in parts] == [(4, 5), (1, 5)]
    for name, values in batch.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), values)
    full = {**batch, "attention_mask": torch.ones_like(batch["attention_mask"])}
    assert apart(full) == (full,)  # without padding nothing is mistaken
    for other in (batches(4)[0], {"vectors": batch["vectors"]}):
        assert apart(other) == (other,)
    for tokens in (1, 5 * 7, 25 * 7, 10**6):  # vectors of seven numbers
        pieces = list(microbatches(batches(11)[0], tokens))
        assert sum(len(piece["labels"]) for piece in pieces) == 11
        assert all(piece["attention_mask"].shape[0] != 5 for piece in pieces)

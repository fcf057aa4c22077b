"""Heads and neurons cut out of the matrices, against the dense model with them at zero."""

from __future__ import annotations

import copy
import itertools
from contextlib import ExitStack

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunecli.core.criteria import CRITERIA
from prunecli.core.cutting import cut_, cut_checked_, cut_to_, unit_counts, zeroed
from prunecli.core.elimination import eliminate
from prunecli.core.evidence import Evidence
from prunecli.core.gates import gate_fisher
from prunecli.core.importance import UNIT_CRITERIA, unit_criterion
from prunecli.core.refit import refit_
from prunecli.core.scope import prunable
from prunecli.core.sensitivity import sensitivities
from prunecli.core.structured import chosen, cut_units_
from prunecli.core.sublayers import of_kind, sublayers_of
from prunecli.core.walk import Walk, groups
from prunecli.errors import InputError, UsageError

from .models import PRE_NORM, classifier

CUTTABLE = (
    *("distilbert", "bert", "roberta", "xlm-roberta", "electra", "albert", "deberta-v2"),
    *PRE_NORM,
)
quick = settings(max_examples=8, deadline=None)


def made(architecture: str, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = classifier(architecture).double().eval()
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):  # they are made at zero, where errors would not show
                parameter.data.normal_(std=0.1)
    return model


def batches(*sizes: int, seed: int = 0) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for size in sizes:
        lengths = torch.randint(3, 8, (size, 1), generator=generator)
        found.append(
            {
                "input_ids": torch.randint(3, 40, (size, 7), generator=generator),
                "attention_mask": (torch.arange(7) < lengths).long(),
                "labels": torch.randint(2, (size,), generator=generator),
            }
        )
    return found


def units_of(model: nn.Module, data: st.DataObject, *, least: int) -> list[Tensor]:
    kept = []
    for sublayer in sublayers_of(model):
        stays = data.draw(st.lists(st.booleans(), min_size=sublayer.count, max_size=sublayer.count))
        if least:
            stays[0] = True
        kept.append(torch.tensor([unit for unit, stay in enumerate(stays) if stay]).long())
    return kept


@pytest.mark.parametrize("architecture", CUTTABLE)
@given(data=st.data())
@quick
def test_a_cut_model_answers_as_the_dense_one_with_these_units_at_zero(
    architecture: str, data: st.DataObject
) -> None:
    model, (batch,) = made(architecture), batches(3)
    kept = units_of(model, data, least=int(architecture == "deberta-v2"))
    with torch.no_grad():
        with zeroed(sublayers_of(model), kept):
            wanted = model(**batch).logits
        cut_(sublayers_of(model), kept)
        found = model(**batch).logits

    assert torch.allclose(found, wanted, atol=1e-9)
    shape = unit_counts(model)
    assert [sublayer.count for sublayer in sublayers_of(model)] == [len(units) for units in kept]
    assert sum(weight.numel() for weight in prunable(model).values()) == sum(
        len(part.readers) * part.readers[0].layer.weight.numel() + part.writer.weight.numel()
        for part in sublayers_of(model)
    )
    again = made(architecture)
    cut_to_(again, shape)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(**batch).logits, found)


@pytest.mark.parametrize("architecture", ["distilbert", "bert"])
def test_a_cut_model_can_be_trained(architecture: str) -> None:
    model, (batch,) = made(architecture).train(), batches(3)
    cut_to_(model, {"heads": (0, 1), "neurons": (5, 0)})
    model(**batch).loss.backward()

    for sublayer in sublayers_of(model):
        for layer in (*(reader.layer for reader in sublayer.readers), sublayer.writer):
            assert layer.weight.grad is not None
            assert layer.weight.grad.shape == layer.weight.shape
    torch.optim.AdamW(model.parameters()).step()


def refusal(model: nn.Module) -> str:
    with pytest.raises(InputError) as caught:
        sublayers_of(model)
    assert caught.value.hint == (
        "cut an encoder such as DistilBERT, BERT, RoBERTa, DeBERTa, MPNet or ModernBERT; "
        "docs/structured.md lists them"
    )
    said, _, reason = str(caught.value).partition(" cannot be cut: ")
    assert said == f"heads and neurons of {type(model).__name__}"
    return reason


def test_what_is_no_encoder_is_refused_with_the_reason() -> None:
    assert refusal(nn.Linear(4, 4)) == "it has no layers of class Linear in repeated blocks"

    def bert() -> tuple[nn.Module, nn.Module]:
        model = made("bert")
        return model, model.bert.encoder.layer[1]

    model, block = bert()
    block.more = nn.Linear(16, 24)
    assert refusal(model) == (
        "a block has linear layers besides its attention and its feed-forward pair"
    )
    for size in (5, 0, 32, 8.0):
        model, block = bert()
        block.attention.self.attention_head_size = size
        assert refusal(model) == "the heads of a block do not fit its linear layers"
    model, block = bert()
    block.attention.self.key.out_features = 8
    assert refusal(model) == "the heads of a block do not fit its linear layers"
    for name, side in (
        ("intermediate", "out_features"),
        ("intermediate", "in_features"),
        ("output", "out_features"),
    ):
        model, block = bert()
        setattr(getattr(block, name).dense, side, 23)
        assert refusal(model) == "the feed-forward layers of a block do not follow each other"
    model, block = bert()
    block.attention.output.dense.out_features = 23
    assert refusal(model) == "the feed-forward layers of a block do not follow each other"
    model, block = bert()
    model.bert.bias = nn.Embedding(7, 2)
    assert refusal(model) == "its heads have a table of relative positions, which is not cut"


def test_blocks_are_those_of_the_encoder_and_each_is_given_once() -> None:
    model = made("bert")
    model.more = nn.ModuleList([nn.Linear(16, 2)])
    assert len(sublayers_of(model)) == 4
    model.bert.encoder.layer[1] = model.bert.encoder.layer[0]
    assert [part.kind for part in sublayers_of(model)] == ["heads", "neurons"]
    model.bert.encoder.layer[0].attention.self.attention_head_size = 1
    assert sublayers_of(model)[0].count == 16
    model.bert.encoder.layer[0].attention.self.key = nn.Identity()
    assert refusal(model) == ("a block has not one attention with queries, keys and values")


def test_parts_are_found_with_their_places() -> None:
    model = made("bert")
    attention, feed_forward = sublayers_of(model)[2:]
    block = model.bert.encoder.layer[1]
    own = block.attention.self
    assert [reader.layer for reader in attention.readers] == [own.query, own.key, own.value]
    assert attention.writer is block.attention.output.dense
    assert (attention.kind, attention.size, attention.count) == ("heads", 8, 2)
    assert attention.module is own
    assert [reader.layer for reader in feed_forward.readers] == [block.intermediate.dense]
    assert feed_forward.writer is block.output.dense
    assert (feed_forward.kind, feed_forward.size, feed_forward.count) == ("neurons", 1, 24)
    assert feed_forward.module is block
    assert attention.places(torch.tensor([1])).tolist() == [8, 9, 10, 11, 12, 13, 14, 15]
    assert feed_forward.places(torch.tensor([3, 5])).tolist() == [3, 5]


def test_what_is_cut_says_how_large_it_is() -> None:
    model = made("bert")
    weights = [part.readers[0].layer.weight.detach().clone() for part in sublayers_of(model)]
    bias = sublayers_of(model)[0].readers[2].layer.bias.detach().clone()
    sublayers_of(model)[1].readers[0].layer.weight.requires_grad_(False)
    cut_(
        sublayers_of(model),
        [torch.tensor([1]), torch.tensor([2, 9]), torch.arange(2), torch.arange(3)],
    )
    first, second = sublayers_of(model)[:2]
    own = first.module
    assert (own.num_attention_heads, own.all_head_size) == (1, 8)
    assert [reader.layer.out_features for reader in first.readers] == [8, 8, 8]
    assert (first.writer.in_features, second.writer.in_features) == (8, 2)
    assert torch.equal(first.readers[0].layer.weight, weights[0][8:])
    assert torch.equal(first.readers[2].layer.bias, bias[8:])
    assert torch.equal(second.readers[0].layer.weight, weights[1][[2, 9]])
    assert first.readers[0].layer.weight.requires_grad
    assert not second.readers[0].layer.weight.requires_grad
    assert first.writer.weight.is_contiguous()


def test_a_cut_that_changes_answers_is_refused_by_name() -> None:
    """A forward that asks how wide a layer is."""
    (batch,) = batches(3)
    for problem, said, first, hint in (
        (None, "it answers otherwise than with these units at zero", [0], "docs/structured.md"),
        ("the sizes differ\nin two lines", "the sizes differ", [0], "docs/structured.md"),
        ("no heads", "no heads", [], "--strategy layerwise"),
    ):
        model = made("bert")
        writer = sublayers_of(model)[0].writer

        def hook(
            _: nn.Module, __: object, output: Tensor, writer: nn.Linear = writer,
            problem: str | None = problem,
        ) -> Tensor:  # fmt: skip
            if problem and writer.in_features < 16:
                raise RuntimeError(problem)
            return output + writer.in_features

        model.classifier.register_forward_hook(hook)
        kept = [
            torch.tensor(first).long(), torch.arange(24), torch.arange(2), torch.arange(24)
        ]  # fmt: skip
        with pytest.raises(InputError) as caught:
            cut_checked_(model, kept, batch)
        assert str(caught.value) == f"BertForSequenceClassification cannot be cut so: {said}"
        assert hint in str(caught.value.hint)
    kept[0] = torch.tensor([0])
    model = made("bert").train()
    cut_checked_(model, kept, batch)
    assert unit_counts(model)["heads"] == (1, 2)
    assert model.training


def test_a_cut_within_the_tolerance_is_no_other_answer() -> None:
    (batch,) = batches(3)
    for more, options, refused in (
        (5e-4, {}, False),
        (5e-3, {}, True),
        (5e-3, {"atol": 1e-2}, False),
    ):
        model = made("bert")
        writer = sublayers_of(model)[0].writer
        model.classifier.weight.data.zero_()
        model.classifier.bias.data.zero_()
        model.classifier.register_forward_hook(
            lambda _, __, out, w=writer, m=more: out + m * (w.in_features < 16)
        )
        kept = [torch.tensor([0]), torch.arange(24), torch.arange(2), torch.arange(24)]
        with ExitStack() as stack:
            if refused:
                stack.enter_context(pytest.raises(InputError, match="answers otherwise"))
            cut_checked_(model, kept, batch, **options)


def test_units_are_zero_only_for_a_while() -> None:
    model = made("bert")
    before = [part.writer.weight.detach().clone() for part in sublayers_of(model)]
    kept = [torch.tensor([1]), torch.arange(3), torch.arange(0), torch.arange(24)]

    def fail() -> None:
        for part, units, was in zip(sublayers_of(model), kept, before, strict=True):
            places = part.places(units)
            expected = torch.zeros_like(was)
            expected[:, places] = was[:, places]
            assert torch.equal(part.writer.weight, expected)
        raise KeyError

    with pytest.raises(KeyError), zeroed(sublayers_of(model), kept):
        fail()
    for part, was in zip(sublayers_of(model), before, strict=True):
        assert torch.equal(part.writer.weight, was)


def test_a_shape_that_does_not_fit_is_refused() -> None:
    for shape in (
        {"heads": (2,), "neurons": (24, 24)},
        {"heads": (2, 3), "neurons": (24, 24)},
        {"heads": (2, 2), "neurons": (24, -1)},
    ):
        kind, has = ("neurons", [24, 24]) if shape["heads"] == (2, 2) else ("heads", [2, 2])
        with pytest.raises(InputError) as caught:
            cut_to_(made("bert"), shape)
        assert str(caught.value) == (
            f"BertForSequenceClassification has {has} {kind}, of which {list(shape[kind])} "
            "cannot be kept"
        )
    deep, twelve = classifier("bert", num_hidden_layers=13), ", ".join(["2"] * 12)
    with pytest.raises(InputError, match="cannot be kept") as caught:
        cut_to_(deep, {"heads": (2,) * 12, "neurons": (24,) * 13})
    assert f"has [{twelve}, …] heads, of which [{twelve}] cannot" in str(caught.value)


# Elimination


def least_error(weight: Tensor, hessian: Tensor, gone: list[int]) -> float:
    """The least error when the columns ``gone`` are zero, by the normal equations."""
    kept = [column for column in range(weight.shape[1]) if column not in gone]
    cross = weight @ hessian[:, kept]
    best = torch.zeros_like(weight)
    best[:, kept] = torch.linalg.solve(hessian[kept][:, kept], cross.T).T
    change = best - weight
    return float((change @ hessian @ change.T).trace())


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_elimination_is_greedy_and_exact(size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    groups = 7
    rows = torch.randn(50, groups * size, generator=generator).double()
    rows[:, -1] += rows[:, 0]
    hessian = rows.T @ rows / 50 + 0.01 * torch.eye(groups * size)
    weight = torch.randn(4, groups * size, generator=generator).double()
    order, errors = eliminate(weight, hessian, size)

    gone: list[int] = []
    for step in range(groups):
        rivals = {
            group: least_error(
                weight, hessian, gone + list(range(group * size, (group + 1) * size))
            )
            for group in range(groups)
            if group * size not in gone
        }
        best = min(rivals, key=rivals.__getitem__)
        assert int(order[step]) == best
        assert float(errors[step]) == pytest.approx(rivals[best], rel=1e-7)
        gone += range(best * size, (best + 1) * size)


def test_the_first_removal_of_all_is_the_best_single_one() -> None:
    """And on a layer this small, the greedy pair is compared with every pair."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(40, 6, generator=generator).double()
    hessian, weight = rows.T @ rows / 40, torch.randn(3, 6, generator=generator).double()
    order, errors = eliminate(weight, hessian, 1)
    pairs = [
        least_error(weight, hessian, list(pair)) for pair in itertools.combinations(range(6), 2)
    ]

    assert errors[1] >= min(pairs) - 1e-9
    assert sorted(order.tolist()) == list(range(6))


# Gates


@pytest.mark.parametrize("architecture", ["distilbert", "albert", "deberta-v2"])
def test_gate_gradients_are_those_of_autograd_written_out(architecture: str) -> None:
    model, given = made(architecture), batches(3, 2)
    sublayers = sublayers_of(model)
    found = gate_fisher(sublayers, Evidence(model, given))

    examples = [
        {key: value[place : place + 1] for key, value in batch.items()}
        for batch in given
        for place in range(len(batch["labels"]))
    ]
    for sublayer, fisher in zip(sublayers, found, strict=True):
        weight = sublayer.writer.weight.detach().clone()
        name = next(n for n, p in model.named_parameters() if p is sublayer.writer.weight)
        total = torch.zeros(sublayer.count).double()
        for example in examples:
            gate = torch.ones(sublayer.count, dtype=torch.float64, requires_grad=True)
            scaled = weight * gate.repeat_interleave(sublayer.size)
            loss = torch.func.functional_call(model, {name: scaled}, kwargs=example).loss
            total += torch.autograd.grad(loss, gate)[0] ** 2
        assert torch.allclose(fisher, total / len(examples), rtol=1e-9, atol=1e-18)
    assert all(parameter.grad is None for parameter in model.parameters())


# Sensitivity


@pytest.mark.parametrize("architecture", ["distilbert", "albert"])
def test_sensitivities_are_gradients_of_signed_logits_written_out(architecture: str) -> None:
    model, (batch,) = made(architecture), batches(4)
    sublayers = sublayers_of(model)
    found = sensitivities(sublayers, Evidence(model, [batch]), seed=3)

    generator = torch.Generator().manual_seed(3)
    signs = torch.randint(0, 2, (4, 2), generator=generator) * 2.0 - 1
    for sublayer, own in zip(sublayers, found, strict=True):
        added: list[Tensor] = []

        def hook(_: nn.Module, __: object, output: Tensor, added: list[Tensor] = added) -> Tensor:
            added.append(torch.zeros_like(output, requires_grad=True))
            return output + added[-1]

        handle = sublayer.writer.register_forward_hook(hook)
        (model(**batch).logits * signs).sum().backward()
        handle.remove()
        squares = torch.cat([one.grad[batch["attention_mask"].bool()] ** 2 for one in added])
        assert torch.allclose(own.tokens[0], squares.sum(1), rtol=1e-9)
        assert torch.allclose(own.outputs, squares.sum(0) / squares.sum(), rtol=1e-9)


# Refit


def test_the_refit_is_least_squares_by_brute_force() -> None:
    dense, given = made("bert"), batches(6, 5)
    kept = [torch.tensor([1]), torch.arange(0, 24, 3), torch.tensor([0]), torch.arange(5)]
    model = copy.deepcopy(dense)
    cut_(sublayers_of(model), kept)
    first, original = sublayers_of(model)[0], sublayers_of(dense)[0]
    start = first.writer.weight.detach().clone()
    read, written = captured(dense, original, given)
    refit_(model, dense, kept, given)

    now = read[:, original.places(kept[0])]  # before the first cut nothing differs
    mean, wanted = now.mean(0), written.mean(0)
    square = (now - mean).T @ (now - mean) / len(now)
    damping = 0.01 * square.diagonal().mean()
    cross = (written - wanted).T @ (now - mean) / len(now) + damping * start
    best = torch.linalg.solve(square + damping * torch.eye(len(square)), cross.T).T
    assert torch.allclose(first.writer.weight, best, atol=1e-9)
    assert torch.allclose(first.writer.bias, wanted - best @ mean, atol=1e-9)


def captured(
    model: nn.Module, sublayer: object, given: list[dict[str, Tensor]]
) -> tuple[Tensor, Tensor]:
    """What the writer of a part reads and gives for real tokens."""
    read, written = [], []

    def hook(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        real = batch["attention_mask"].bool()
        read.append(inputs[0][real])
        written.append(output[real])

    handle = sublayer.writer.register_forward_hook(hook)  # type: ignore[attr-defined]
    with torch.no_grad():
        for batch in given:
            model(**batch)
    handle.remove()
    return torch.cat(read), torch.cat(written)


@pytest.mark.parametrize("architecture", CUTTABLE)
def test_the_sum_of_stream_and_output_is_what_a_layer_norm_reads(architecture: str) -> None:
    """That after the part, or where parts normalise first, that of the next."""
    model, (batch,) = made(architecture), batches(4)
    real, normed = batch["attention_mask"].bool(), []
    weights = {n: p for n, p in model.named_parameters() if n in writers(model)}
    with ExitStack() as stack, torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                handle = module.register_forward_pre_hook(lambda _, x: normed.append(x[0][real]))
                stack.callback(handle.remove)
        model(**batch)
    walk = Walk(model, [batch])
    with torch.no_grad():
        for group in groups(model, weights, batch):
            (writer,) = group.layers.values()
            read, stream = walk.summands(group, 0)
            assert stream is not None
            for total in (stream + writer(read)).chunk(group.calls):
                alike = [inputs for inputs in normed if inputs.shape == total.shape]
                assert any(torch.allclose(total, inputs, atol=1e-12) for inputs in alike)


def writers(model: nn.Module) -> set[str]:
    own = {id(sublayer.writer.weight) for sublayer in sublayers_of(model)}
    return {name for name, parameter in model.named_parameters() if id(parameter) in own}


class Scaled(nn.Module):
    """A dropout's place with a factor in it."""

    def forward(self, states: Tensor) -> Tensor:
        return states * 0.5


def test_an_output_that_is_changed_before_it_is_added_is_fitted_alone() -> None:
    dense, given = made("bert"), batches(16, 16)
    for layer in dense.bert.encoder.layer:
        layer.attention.output.dropout = layer.output.dropout = Scaled()
    weights = {n: p for n, p in dense.named_parameters() if n in writers(dense)}
    with torch.no_grad():
        (group, *_) = groups(dense, weights, given[0])
        assert Walk(dense, given).summands(group, 0)[1] is None
    cut, refitted = copy.deepcopy(dense), copy.deepcopy(dense)
    for model, refit in ((cut, False), (refitted, True)):
        evidence = Evidence(model, given)
        cut_units_(model, heads=0.5, neurons=0.5, evidence=evidence, refit=refit)

    assert away(refitted, dense, given) < away(cut, dense, given)


@pytest.mark.parametrize("architecture", CUTTABLE)
def test_a_refit_with_nothing_cut_changes_nothing(architecture: str) -> None:
    dense, given = made(architecture), batches(8)
    model = copy.deepcopy(dense)
    kept = [torch.arange(sublayer.count) for sublayer in sublayers_of(model)]
    refit_(model, dense, kept, given)

    assert torch.allclose(model(**given[0]).logits, dense(**given[0]).logits, atol=1e-6)


@pytest.mark.parametrize("architecture", CUTTABLE)
def test_a_refit_brings_hidden_states_closer(architecture: str) -> None:
    dense, given = made(architecture), batches(16, 16)
    cut, refitted = copy.deepcopy(dense), copy.deepcopy(dense)
    evidence = Evidence(cut, given)
    cut_units_(cut, heads=0.5, neurons=0.5, evidence=evidence, refit=False)
    cut_units_(refitted, heads=0.5, neurons=0.5, evidence=Evidence(refitted, given))

    assert away(refitted, dense, given) < away(cut, dense, given)


@pytest.mark.parametrize("architecture", ["bert", *PRE_NORM])
def test_a_refit_brings_logits_of_other_examples_much_closer(architecture: str) -> None:
    dense, given, (other,) = made(architecture), batches(32, 32), batches(32, seed=1)
    errors = []
    with torch.no_grad():
        wanted = dense(**other).logits
        for refit in (False, True):
            model = copy.deepcopy(dense)
            evidence = Evidence(model, given)
            cut_units_(
                model,
                heads=0.5,
                neurons=0.5,
                criterion="magnitude",
                evidence=evidence,
                refit=refit,
            )
            errors.append(float((model(**other).logits - wanted).norm()))

    assert errors[1] < 0.5 * errors[0]


def away(model: nn.Module, dense: nn.Module, given: list[dict[str, Tensor]]) -> float:
    """Between the last hidden states of both, squared, over real tokens."""
    total = 0.0
    with torch.no_grad():
        for batch in given:
            real = batch["attention_mask"].bool()
            found, wanted = (
                m(**batch, output_hidden_states=True).hidden_states[-1][real]
                for m in (model, dense)
            )
            total += float((found - wanted).square().sum())
    return total


# The whole


@pytest.mark.parametrize("criterion", UNIT_CRITERIA)
@pytest.mark.parametrize("strategy", ["global", "layerwise"])
def test_exactly_as_many_go_as_were_asked_for(criterion: str, strategy: str) -> None:
    model, given = made("distilbert"), batches(6)
    shape = cut_units_(
        model,
        heads=0.5,
        neurons=0.7,
        strategy=strategy,
        criterion=criterion,
        evidence=Evidence(model, given),
    )

    if strategy == "layerwise":
        assert shape == {"heads": (1, 1), "neurons": (7, 7)}
    else:
        assert sum(shape["heads"]) == 2
        assert sum(shape["neurons"]) == 48 - round(0.7 * 48)


def test_summed_weight_scores_are_the_sums_of_a_units_weights() -> None:
    model = made("bert")
    sublayers = sublayers_of(model)
    scores = unit_criterion("snip")(model, sublayers, seed=1, evidence=Evidence(model, batches(4)))
    again = unit_criterion("random")(model, sublayers, seed=1, evidence=None)
    norms = unit_criterion("magnitude")(model, sublayers, seed=1, evidence=None)

    assert (
        [len(score) for score in scores]
        == [sublayer.count for sublayer in sublayers]
        == [2, 24, 2, 24]
    )
    assert float(again[0][0]) / 0.4 > 3 * 8 * 16  # four matrices' share of uniform numbers
    sublayer = sublayers[1]
    wanted = (
        sublayer.readers[0].layer.weight[5].square().sum()
        + sublayer.writer.weight[:, 5].square().sum()
    )
    assert float(norms[1][5]) == pytest.approx(float(wanted.sqrt().detach()))


@pytest.mark.parametrize("criterion", ["magnitude", "random", "taylor"])
def test_unit_scores_are_added_up_weight_by_weight(criterion: str) -> None:
    model = made("bert")
    parts, weights, given = sublayers_of(model), prunable(model), Evidence(model, batches(4))
    found = unit_criterion(criterion)(model, parts, seed=3, evidence=given)
    scores = CRITERIA.get(criterion)(weights, seed=3, evidence=given)
    of = {
        id(weight): scores.chunk(name, 0, weight.numel()).double().view(weight.shape).clone()
        for name, weight in weights.items()
    }
    for part, sums in zip(parts, found, strict=True):
        assert sums.dtype == torch.float64
        for unit in range(0, part.count, 5):
            rows = slice(unit * part.size, (unit + 1) * part.size)
            values = [of[id(reader.layer.weight)][rows] for reader in part.readers]
            values.append(of[id(part.writer.weight)][:, rows])
            if criterion == "magnitude":
                expected = sum(float((value**2).sum()) for value in values) ** 0.5
            else:
                expected = sum(float(value.sum()) for value in values)
            assert float(sums[unit]) == pytest.approx(expected)


def test_a_criterion_that_is_learnt_names_those_that_are_not() -> None:
    with pytest.raises(UsageError) as caught:
        unit_criterion("movement")
    assert str(caught.value) == (
        "criterion movement learns from training, and units are cut before any"
    )
    assert caught.value.hint == f"choose one of {', '.join(UNIT_CRITERIA)}"


def test_the_lowest_go_and_equal_ones_by_place() -> None:
    sublayers = sublayers_of(made("bert"))
    scores = [torch.zeros(sublayer.count).double() for sublayer in sublayers]
    scores[0][0] = 1
    kept = chosen(sublayers, scores, {"heads": 0.5, "neurons": 0.25}, "global")

    assert kept[0].tolist() == [0]
    assert kept[2].tolist() == [1]
    assert [len(units) for units in of_neurons(kept)] == [12, 24]


def of_neurons(kept: list[Tensor]) -> list[Tensor]:
    return kept[1::2]


def test_what_cannot_be_asked_for() -> None:
    model = made("bert")
    with pytest.raises(UsageError, match=r"not in \[0, 1\)"):
        cut_units_(model, heads=1.0)
    with pytest.raises(UsageError, match="unknown unit criterion") as caught:
        unit_criterion("reconstuction")
    assert "reconstruction" in str(caught.value.hint)
    with pytest.raises(UsageError, match="learns from training"):
        unit_criterion("movement")
    with pytest.raises(UsageError, match="needs examples"):
        cut_units_(model, heads=0.5)
    for sublayer in of_kind(sublayers_of(model), "neurons"):
        sublayer.writer.weight.data[:, ::2] = 0
    with pytest.raises(InputError, match="zero already"):
        cut_units_(model, heads=0.5, criterion="magnitude", refit=False)

"""Training under a growing mask: zeros at every step, exact counts, resuming where it stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor, nn

from prunecli.core.scope import prunable
from prunecli.errors import InputError, IntegrityError
from prunecli.progress import Silent
from prunecli.records.runs import TrainingSpec
from prunecli.training.trainer import _EpochSampler, train

from .conftest import BATCH, STEPS_PER_EPOCH, Run, Watcher, pruning, tiny


def wanted(model: nn.Module, level: float, strategy: str) -> dict[str, int] | int:
    sizes = {name: weight.numel() for name, weight in prunable(model).items()}
    if strategy == "global":
        return round(level * sum(sizes.values()))
    return {name: round(level * size) for name, size in sizes.items()}


def counted(zeros: dict[str, Tensor], strategy: str) -> dict[str, int] | int:
    counts = {name: int(part.sum()) for name, part in zeros.items()}
    return sum(counts.values()) if strategy == "global" else counts


# Zeros


@pytest.mark.parametrize("strategy", ["global", "layerwise"])
def test_zeros_hold_after_every_step_and_only_grow(run: Run, strategy: str) -> None:
    plan = pruning(strategy=strategy)
    model, info, mask, watcher = run(pruning=plan)
    total = 2 * STEPS_PER_EPOCH
    assert info.steps == len(watcher.zeros) == total
    growth = plan.gradual.over(total, steps_per_epoch=STEPS_PER_EPOCH)
    level = 0.0
    for step, zeros in enumerate(watcher.zeros):
        if growth.due(step):
            level = growth.level(step)
        assert counted(zeros, strategy) == wanted(model, level, strategy), step
    for before, after in zip(watcher.zeros, watcher.zeros[1:], strict=False):
        assert all((after[name] | ~before[name]).all() for name in before)
    assert mask is not None
    mask.verify(model)
    assert mask.removed() == counted(watcher.zeros[-1], "layerwise")


@pytest.mark.parametrize("schedule", ["oneshot", "linear", "polynomial"])
@pytest.mark.parametrize(("settle", "every"), [(0.0, 3), (0.0, 1000), (0.25, 1), (0.9, 5)])
def test_final_sparsity_is_exact(run: Run, schedule: str, settle: float, every: int) -> None:
    model, _, mask, watcher = run(epochs=0.7, pruning=pruning(schedule, 0.77, every, settle))
    assert mask is not None
    assert sum(mask.removed().values()) == wanted(model, 0.77, "global")
    assert counted(watcher.zeros[-1], "global") == wanted(model, 0.77, "global")


def test_a_single_step(run: Run) -> None:
    model, info, _, watcher = run(epochs=1 / STEPS_PER_EPOCH, pruning=pruning())
    assert info.steps == 1
    assert counted(watcher.zeros[-1], "global") == wanted(model, 0.8, "global")


def test_the_weights_that_stay_are_trained(run: Run) -> None:
    dense = {name: weight.clone() for name, weight in tiny().named_parameters()}
    model, _, _, watcher = run(pruning=pruning())
    for name, weight in prunable(model).items():
        kept = ~watcher.zeros[-1][name]
        assert not torch.equal(weight[kept], dense[name][kept])


def test_a_zero_that_comes_back_stops_the_training(run: Run) -> None:
    class Undo(Watcher):
        def advance(self, steps: int = 1, note: str = "") -> None:
            super().advance(steps, note)
            with torch.no_grad():
                next(iter(prunable(self.model).values())).add_(1.0)

    with pytest.raises(IntegrityError, match="non-zero weights that the mask removed"):
        run(pruning=pruning(), watching=Undo)


# Checkpoints


@pytest.mark.parametrize("damage", ["no mask", "no state", "half a state"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(
    run: Run, tmp_path: Path, damage: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=8, pruning=pruning())
    newest = tmp_path / "checkpoints" / "checkpoint-6"
    if damage == "no mask":
        (newest / "mask.safetensors").unlink()
    elif damage == "no state":
        (newest / "trainer_state.json").unlink()
    else:
        (newest / "trainer_state.json").write_text('{"epoch": 0.7')
    _, info, mask, _ = run(pruning=pruning())
    assert info.resumed_from_step == 3
    assert mask == run("other", pruning=pruning())[2]


def test_nothing_but_broken_checkpoints_starts_over(run: Run, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=4, pruning=pruning())
    shutil.rmtree(tmp_path / "checkpoints" / "checkpoint-3")
    (tmp_path / "checkpoints" / "checkpoint-3").mkdir()
    _, info, _, _ = run(pruning=pruning())
    assert info.resumed_from_step == 0


def test_checkpoints_hold_no_pickled_weights(run: Run, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=8, pruning=pruning())
    (one, two) = sorted((tmp_path / "checkpoints").iterdir())
    assert (one.name, two.name) == ("checkpoint-3", "checkpoint-6")
    assert (two / "model.safetensors").is_file()
    assert not list(two.glob("pytorch_model*"))


# The rest


def test_training_learns(run: Run) -> None:
    _, info, mask, _ = run(epochs=12.0, every=1000)
    assert mask is None
    assert info.loss < 0.6
    assert info.examples == 60


def test_equal_seeds_give_equal_weights(run: Run) -> None:
    a, b, c = (run(str(i), seed=seed)[0].state_dict() for i, seed in enumerate((1, 1, 2)))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_bf16_keeps_the_zeros_too(run: Run) -> None:
    model, _, mask, watcher = run(pruning=pruning(), precision="bf16")
    assert mask is not None
    mask.verify(model)
    assert counted(watcher.zeros[-1], "global") == wanted(model, 0.8, "global")
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_a_weight_that_is_no_number_stops_the_training(run: Run) -> None:
    model = tiny()
    with torch.no_grad():
        model.classifier.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"step 1: 'classifier\.weight' has weights") as caught:
        run(model=model)
    assert caught.value.hint is not None
    assert "learning rate" in caught.value.hint


def test_the_sampler_covers_each_index_once_an_epoch() -> None:
    lengths = [1 + i % 13 for i in range(103)]
    sampler = _EpochSampler(BATCH, lengths, seed=3)
    epochs = []
    for epoch in (0, 1, 2):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert sorted(order) == list(range(103))
        epochs.append(order)
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_sampler_depends_on_seed_and_epoch_alone() -> None:
    lengths = [1 + i % 13 for i in range(103)]

    def order(seed: int, epoch: int) -> list[int]:
        sampler = _EpochSampler(BATCH, lengths, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    torch.manual_seed(1)
    first = order(3, 1)
    torch.manual_seed(2)
    sampler = _EpochSampler(BATCH, lengths, seed=3)
    list(sampler)  # an epoch that was drawn before changes nothing
    sampler.set_epoch(1)
    assert list(sampler) == first
    assert order(4, 1) != first


def test_every_epoch_sees_every_example(
    examples: Dataset, collate: Callable[..., Any], tmp_path: Path
) -> None:
    seen: list[int] = []

    def watching(batch: list[dict[str, Any]]) -> Any:
        seen.extend(example["index"] for example in batch)
        return collate(batch)

    train(
        tiny(),
        examples,
        watching,
        TrainingSpec(epochs=2.0, batch_size=BATCH),
        seed=0,
        device="cpu",
        precision="float32",
        checkpoints=tmp_path,
        title="test",
        progress=Silent(),
    )
    assert sorted(seen[:60]) == sorted(seen[60:120]) == list(range(60))
    assert seen[:60] != seen[60:120]

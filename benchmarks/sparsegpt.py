"""Layer-wise reconstruction against SparseGPT: seconds in turns, and what is left of the accuracy.

    python benchmarks/sparsegpt.py
    python benchmarks/sparsegpt.py --model MODEL_FOLDER --data ../shared/data/glue

SparseGPT is written out here by the rule of Frantar & Alistarh, ICML 2023, and of its published
code: block after block one pass that sums the second moments, columns removed by the optimal brain
surgeon in blocks of 128 with the same share of zeros in each, damping of 1% of the diagonal, and
one pass for what the next block reads. *As published* it reads one example at a time, without
padding, and each layer sums moments of its own. *Made faster* it reads batches of like lengths, of
which padding does not count, and layers that read the same tensor share their moments.

All sides prune the same weights to the same level with the same examples, in turns in one process.
Without MODEL_FOLDER the model is a BERT classifier with random weights, six blocks of width 384,
and examples are random, of 16 to 64 tokens. CPU seconds are those of this process: on a machine
that is shared they say more than seconds on the wall.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from masking import cpu
from torch import Tensor, nn

from prunecli.core import engine
from prunecli.core.activations import evaluating, real_rows
from prunecli.core.evidence import Batch, Evidence
from prunecli.core.scope import prunable

COLUMNS, DAMPING = 128, 0.01
LENGTH, BATCH = 128, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", help="a trained classifier's folder (random weights)")
    parser.add_argument("--data", help="a folder in GLUE's layout; goes with --model")
    parser.add_argument("--task", default="sst2")
    parser.add_argument("--level", type=float, default=0.8, help="share of zeros (0.8)")
    parser.add_argument("--examples", type=int, default=512, help="calibration examples (512)")
    parser.add_argument("--blocks", type=int, default=6, help="blocks of the random model (6)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (3)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (1)")
    options = parser.parse_args()
    if (options.model is None) != (options.data is None):
        parser.error("--model and --data go together")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.model is None:
        model, batches, score = *at_random(options.blocks, options.examples), None
    else:
        model, batches, score = trained(options)
    weights = prunable(model)
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
    print(
        f"{options.model or 'random weights'}: {len(weights)} matrices, "
        f"{sum(map(torch.numel, weights.values())) / 1e6:.1f} M weights to {options.level:.0%} on "
        f"{options.examples} examples, {tokens:,} tokens | torch {torch.__version__}, "
        f"{options.threads} threads, {cpu()}, mean of {options.rounds} turns"
    )
    if score is not None:
        print(f"  {'dense':<23} {'':<40} accuracy {score(model):.2f}")
    sides: dict[str, Callable[[nn.Module], object]] = {
        "SparseGPT, as published": partial(
            sparsegpt_, batches=singly(batches), level=options.level, shared=False
        ),
        "SparseGPT, made faster": partial(
            sparsegpt_, batches=batches, level=options.level, shared=True
        ),
        "prune, layer-wise": partial(ours_, batches=batches, level=options.level, how="layerwise"),
        "prune, global": partial(ours_, batches=batches, level=options.level, how="global"),
    }
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    scores: dict[str, float] = {}
    for _ in range(options.rounds):
        for side, work in sides.items():
            fresh = copy.deepcopy(model)
            wall, busy = time.perf_counter(), time.process_time()
            work(fresh)
            times[side].append((time.process_time() - busy, time.perf_counter() - wall))
            check(fresh, options.level)
            if score is not None and side not in scores:
                scores[side] = score(fresh)
    theirs = means(next(iter(times.values())))
    for side in sides:
        own = means(times[side])
        print(
            f"  {side:<23} {own[0]:7.1f} s of CPU {own[0] / theirs[0]:5.2f}×, {own[1]:7.1f} s "
            f"{own[1] / theirs[1]:5.2f}×" + (f"   accuracy {scores[side]:.2f}" if scores else "")
        )


def means(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of seconds of CPU and of seconds on the wall."""
    busy, wall = zip(*times, strict=True)
    return statistics.fmean(busy), statistics.fmean(wall)


def check(model: nn.Module, level: float) -> None:
    """Stop where a side has not removed what was asked for."""
    weights = prunable(model).values()
    zeros = sum(int((weight == 0).sum()) for weight in weights) / sum(map(torch.numel, weights))
    if abs(zeros - level) > 1e-3:
        raise SystemExit(f"{zeros:.2%} of the weights are zero, not {level:.2%}")


def at_random(blocks: int, examples: int) -> tuple[nn.Module, list[Batch]]:
    """A model of random weights, and examples of random tokens."""
    import transformers

    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            hidden_size=384,
            intermediate_size=1536,
            num_hidden_layers=blocks,
            num_attention_heads=12,
        )
    )
    batches: list[Batch] = []
    for start in range(0, examples, BATCH):
        tokens = 16 + 48 * start // examples
        ids = torch.randint(1, 30_000, (min(BATCH, examples - start), tokens))
        batches.append({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    return model, batches


def trained(
    options: argparse.Namespace,
) -> tuple[nn.Module, list[Batch], Callable[[nn.Module], float]]:
    """A model as it is in its folder, training examples for calibration, and what scores it."""
    from prunecli.data import collator, length_batches, load, tokenise
    from prunecli.evaluation.predict import predict
    from prunecli.models import loading
    from prunecli.models.labels import label_order
    from prunecli.pipelines.batching import EVALUATION_BATCH, TOKENS_PER_BATCH
    from prunecli.progress import Silent
    from prunecli.runtimes.pytorch import TorchClassifier
    from prunecli.tasks import get_task

    loading.quiet_transformers()
    task = get_task(options.task)
    data = load(task, options.data, max_train_samples=options.examples)
    tokenizer = loading.load_tokenizer(options.model)
    model: Any = loading.load_for_training(options.model, task, seed=42)
    collate = collator(tokenizer)

    def tokens(part: Any) -> Any:
        return tokenise(part, tokenizer, max_length=LENGTH, cache_dir=None, key="")

    def by_length(part: Any, size: int) -> list[list[int]]:
        return length_batches(list(part["length"]), batch_size=size, max_tokens=TOKENS_PER_BATCH)

    given, evaluation = tokens(data.train), tokens(next(iter(data.evaluation.values())))
    batches: list[Batch] = []
    for places in by_length(given, BATCH):
        batches.append(dict(collate([given[place] for place in places])))
    order = label_order(model.config, task, options.model)
    labels = torch.tensor(list(evaluation["labels"]))

    def score(pruned: Any) -> float:
        shown = by_length(evaluation, EVALUATION_BATCH)
        classifier = TorchClassifier(pruned, device="cpu", precision="float32")
        with Silent().bar("", len(evaluation)) as bar:
            found = predict(classifier, evaluation, shown, collate, order=order, bar=bar)
        answers = torch.from_numpy(found.logits).argmax(1)
        return 100 * (answers == labels).float().mean().item()

    return model, batches, score


def ours_(model: nn.Module, *, batches: Sequence[Batch], level: float, how: str) -> None:
    """Prune ``model`` as `prune prune --criterion reconstruction --strategy HOW` does."""
    engine.prune_(
        model,
        level,
        strategy=how,
        criterion="reconstruction",
        evidence=Evidence(model, batches),
    )


def singly(batches: Sequence[Batch]) -> list[Batch]:
    """Each example alone, of its own length: padding is at the end."""
    alone: list[Batch] = []
    for batch in batches:
        for row, tokens in enumerate(batch["attention_mask"].sum(1).tolist()):
            alone.append(
                {
                    name: values[row : row + 1, :tokens]
                    if values.dim() > 1
                    else values[row : row + 1]
                    for name, values in batch.items()
                }
            )
    return alone


@torch.no_grad()
def sparsegpt_(model: nn.Module, *, batches: Sequence[Batch], level: float, shared: bool) -> None:
    """Prune ``model`` by SparseGPT's rule, block after block, with moments ``shared`` or not."""
    wanted = {id(weight) for weight in prunable(model).values()}
    base: Any = getattr(model, "base_model", model)
    blocks = next(part for part in base.modules() if isinstance(part, nn.ModuleList))
    with evaluating(model):
        states, rest = first_inputs(model, blocks[0], batches)
        for block in blocks:
            layers = [
                part
                for part in block.modules()
                if isinstance(part, nn.Linear) and id(part.weight) in wanted
            ]
            moments = gather(block, layers, states, rest, batches, shared=shared)
            for layer in layers:
                sweep_(layer.weight, moments[layer].clone(), level)
            states = [run(block, *given) for given in zip(states, rest, strict=True)]


class Stop(Exception):  # noqa: N818 - a signal, not an error
    """The first block has been reached."""


def first_inputs(
    model: nn.Module, block: nn.Module, batches: Sequence[Batch]
) -> tuple[list[Tensor], list[tuple[Any, Any]]]:
    """What the first block reads in each batch: hidden states, and all else it is given."""
    states, rest = [], []

    def catch(_: nn.Module, args: Any, kwargs: Any) -> None:
        kwargs = dict(kwargs)
        states.append(args[0] if args else kwargs.pop("hidden_states"))
        rest.append((args[1:], kwargs))
        raise Stop

    handle = block.register_forward_pre_hook(catch, with_kwargs=True)
    for batch in batches:
        with suppress(Stop):
            model(**batch)
    handle.remove()
    return states, rest


def run(block: nn.Module, states: Tensor, rest: tuple[Any, Any]) -> Tensor:
    """What ``block`` makes of hidden states."""
    found = block(states, *rest[0], **rest[1])
    output: Tensor = found if isinstance(found, Tensor) else found[0]
    return output


def gather(
    block: nn.Module,
    layers: Sequence[Any],
    states: Sequence[Tensor],
    rest: Sequence[tuple[Any, Any]],
    batches: Sequence[Batch],
    *,
    shared: bool,
) -> dict[Any, Tensor]:
    """Second moments [in, in] of what each of ``layers`` reads, in one pass over the examples."""
    sums: dict[Any, Tensor] = {}
    last: list[Any] = [None, None]
    mask: Tensor | None = None

    def add(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        if shared and inputs[0] is last[0]:
            sums[layer] = sums[last[1]]
            return
        if layer not in sums:
            sums[layer] = inputs[0].new_zeros(layer.in_features, layer.in_features)
        rows = real_rows(inputs[0], mask)
        sums[layer].addmm_(rows.T, rows)
        last[:] = inputs[0], layer

    handles = [layer.register_forward_pre_hook(add) for layer in layers]
    for batch, given, more in zip(batches, states, rest, strict=True):
        mask = batch["attention_mask"]
        run(block, given, more)
    for handle in handles:
        handle.remove()
    return sums


def sweep_(weight: Tensor, hessian: Tensor, level: float) -> None:
    """Remove ``level`` of ``weight`` [out, in], column by column; later ones make up for it."""
    left = weight.detach().clone()
    dead = hessian.diagonal() == 0
    hessian.diagonal()[dead] = 1
    left[:, dead] = 0
    hessian.diagonal().add_(DAMPING * hessian.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    factor = torch.linalg.cholesky(inverse, upper=True)
    for start in range(0, left.shape[1], COLUMNS):
        stop = min(start + COLUMNS, left.shape[1])
        part, own = left[:, start:stop].clone(), factor[start:stop, start:stop]
        scores = (part / own.diagonal()).square()
        gone = scores <= scores.flatten().sort().values[int(level * scores.numel())]
        errors = torch.zeros_like(part)
        for place in range(stop - start):
            column = part[:, place].clone()
            kept = column.masked_fill(gone[:, place], 0)
            error = (column - kept) / own[place, place]
            part[:, place:] -= error.outer(own[place, place:])
            part[:, place] = kept
            errors[:, place] = error
        left[:, start:stop] = part
        left[:, stop:] -= errors @ factor[start:stop, stop:]
    weight.copy_(left)


if __name__ == "__main__":
    main()

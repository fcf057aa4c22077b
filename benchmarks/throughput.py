"""Training and evaluation of one model on the same examples: our pipeline, the usual way.

    python benchmarks/throughput.py --data ../shared/data/glue --model MODEL_FOLDER

The usual way is the reproduced study's: every example padded to 128 tokens, float32, a plain loop.
Ours is what `prune` runs: batches grouped by length and padded to their longest, bf16 autocast
where the hardware has it, Hugging Face Trainer. Both start from the same weights and see the same
examples with the same batch size; they take turns, so that a machine whose speed drifts slows
both. A step's time is the mean over the steps, for they differ in length; an evaluation's is the
best of the rounds. The machine's matrix-product peak is measured in the same run and dtype, and
the training step is held against it.

MODEL_FOLDER is best a trained baseline (`workspace/runs/RUN/model`), so that the accuracies mean
something; they must agree to 0.2 points.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from prunecli.core.scope import prunable
from prunecli.data import collator, length_batches, load, tokenise
from prunecli.evaluation.predict import predict
from prunecli.machine.hardware import machine, resolve_device, resolve_precision
from prunecli.models import loading as models
from prunecli.models.labels import label_order
from prunecli.pipelines.batching import EVALUATION_BATCH, TOKENS_PER_BATCH
from prunecli.records.runs import TrainingSpec
from prunecli.runtimes.pytorch import TorchClassifier
from prunecli.tasks import get_task
from prunecli.training.trainer import train

LENGTH, BATCH, RATE = 128, 32, 2e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="a classifier's or encoder's folder")
    parser.add_argument("--data", required=True, help="a folder in GLUE's layout")
    parser.add_argument("--task", default="sst2")
    parser.add_argument("--examples", type=int, default=1600, help="training examples (1600)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side (2)")
    options = parser.parse_args()
    models.quiet_transformers()
    task = get_task(options.task)
    data = load(task, options.data, max_train_samples=options.examples)
    tokenizer = models.load_tokenizer(options.model)
    model = models.load_for_training(options.model, task, seed=42)
    device = resolve_device("auto")
    precision = resolve_precision("auto", device)

    def tokens(part: Any) -> Any:
        return tokenise(part, tokenizer, max_length=LENGTH, cache_dir=None, key="")

    training, evaluation = tokens(data.train), tokens(next(iter(data.evaluation.values())))
    about = machine(device)
    print(f"{task.title}, {options.model}: {len(training)} training examples, batch {BATCH}")
    print(f"{about.processor}, {about.cores} cores, {about.device}, torch {torch.__version__}")

    def ours_with(dropout: float | None) -> list[float]:
        fresh = copy.deepcopy(model)
        return our_steps(fresh, training, tokenizer, device, precision, dropout)

    steps: dict[str, list[float]] = {"usual": [], "prune": [], "still": [], "fused": []}
    for _ in range(options.rounds):
        steps["usual"] += usual_steps(copy.deepcopy(model), training, device)
        steps["prune"] += ours_with(None)
        steps["still"] += ours_with(0.0)
        with mock.patch("prunecli.training.trainer.attention_on", return_value=nullcontext()):
            steps["fused"] += ours_with(0.0)
    usual, ours, still, fused = (statistics.fmean(times) for times in steps.values())
    print(f"\ntraining step, mean of {len(steps['usual'])}")
    print(f"  usual way (padded to {LENGTH}, float32)   {1e3 * usual:9.1f} ms")
    print(f"  prune (length-grouped, {precision:<8})     {1e3 * ours:9.1f} ms")
    print(f"  ratio                                 {usual / ours:9.1f} ×")
    print(f"  prune without dropout, as fast has it {1e3 * still:9.1f} ms")
    print(f"  the same in torch's own attention     {1e3 * fused:9.1f} ms {fused / still:6.2f} ×")

    peak = matmul_peak(device, precision)
    work = training_flop(model, training) / -(-len(training) // BATCH)
    print(f"  peak of this machine, {precision:<8}        {peak / 1e9:9.1f} GFLOP/s")
    print(
        f"  the step computes                     {work / ours / 1e9:9.1f} GFLOP/s on real tokens"
    )
    print(f"  fraction of the peak                  {work / ours / peak:9.1%}")

    order = label_order(model.config, task, options.model)
    labels = torch.tensor(list(evaluation["labels"]))
    collate = collator(tokenizer)
    best: dict[str, float] = {}
    accuracy: dict[str, float] = {}
    for _ in range(options.rounds):
        for side in ("usual way, float32", "prune, float32", f"prune, {precision}"):
            start = time.perf_counter()
            if side.startswith("usual"):
                answers = usual_answers(model, evaluation, device)[:, order]
            else:
                batches = length_batches(
                    list(evaluation["length"]),
                    batch_size=EVALUATION_BATCH,
                    max_tokens=TOKENS_PER_BATCH,
                )
                found = predict(
                    TorchClassifier(model, device=device, precision=side.partition(", ")[2]),
                    evaluation,
                    batches,
                    collate,
                    order=order,
                    bar=Stamps(),
                )
                answers = torch.from_numpy(found.logits)
            best[side] = min(best.get(side, 1e9), time.perf_counter() - start)
            accuracy[side] = 100 * (answers.argmax(1) == labels).float().mean().item()
    print(f"\nevaluation of {len(evaluation)} examples, best of {options.rounds}")
    for side, seconds in best.items():
        ratio = best["usual way, float32"] / seconds
        print(f"  {side:<22} {seconds:8.2f} s  {ratio:6.1f} ×  accuracy {accuracy[side]:.2f}")
    spread = max(accuracy.values()) - min(accuracy.values())
    print(f"  accuracies differ by {spread:.2f} points")
    if spread > 0.2:
        raise SystemExit("the accuracies disagree")


class Stamps:
    """A bar that remembers when each step ended."""

    def __init__(self) -> None:
        self.times = [time.perf_counter()]

    def advance(self, steps: int = 1, note: str = "") -> None:
        if steps:
            self.times.append(time.perf_counter())


class Listener:
    """A `Progress` that keeps the stamps of the one bar there is."""

    stamps: Stamps

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Stamps]:
        self.stamps = Stamps()
        yield self.stamps

    def notice(self, text: str) -> None:
        pass


def our_steps(
    model: Any,
    training: Any,
    tokenizer: Any,
    device: str,
    precision: str,
    dropout: float | None,
) -> list[float]:
    """Seconds of each training step of the pipeline; the first, which sets up, is left out."""
    listener = Listener()
    with tempfile.TemporaryDirectory() as folder:
        train(
            model,
            training,
            collator(tokenizer),
            TrainingSpec(epochs=1, learning_rate=RATE, batch_size=BATCH, dropout=dropout),
            seed=42,
            device=device,
            precision=precision,
            checkpoints=Path(folder),
            title="",
            progress=listener,
        )
    times = listener.stamps.times
    return [end - start for start, end in itertools.pairwise(times[1:])]


def padded(rows: Any, device: str) -> dict[str, torch.Tensor]:
    """Every example padded to the full length."""
    ids = torch.zeros((len(rows["input_ids"]), LENGTH), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows["input_ids"]):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def usual_steps(model: Any, training: Any, device: str) -> list[float]:
    """Seconds of each step of the plain loop; the first is left out here too."""
    model.to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(42)).tolist()
    seconds = []
    for start in range(0, len(order), BATCH):
        begin = time.perf_counter()
        rows = training[order[start : start + BATCH]]
        labels = torch.tensor(rows["labels"], device=device)
        loss = model(**padded(rows, device), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.perf_counter() - begin)
    return seconds[1:]


def usual_answers(model: Any, evaluation: Any, device: str) -> torch.Tensor:
    """Logits by the plain loop: batches of 32 in the order of the file, padded, float32."""
    model.to(device).eval()
    with torch.no_grad():
        return torch.cat(
            [
                model(**padded(evaluation[start : start + BATCH], device)).logits.cpu()
                for start in range(0, len(evaluation), BATCH)
            ]
        )


def training_flop(model: Any, training: Any) -> float:
    """Floating-point operations of one epoch on real tokens, padding not counted.

    6 per weight and token for the encoder's matrices (forward 2, backward 4), and for attention
    scores and values 12 · layers · width · length² per example.
    """
    weights = sum(weight.numel() for weight in prunable(model).values())
    config = model.config
    lengths = torch.tensor(list(training["length"]), dtype=torch.float64)
    attention = 12 * config.num_hidden_layers * config.hidden_size * (lengths**2).sum().item()
    return float(6 * weights * lengths.sum().item() + attention)


def matmul_peak(device: str, precision: str, size: int = 2048) -> float:
    """The most FLOP/s that a square matrix product of this dtype reaches here."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(12):
        begin = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / min(seconds[2:])


if __name__ == "__main__":
    main()

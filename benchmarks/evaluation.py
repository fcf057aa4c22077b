"""Which runtime scores the examples of a run the fastest, and whether it answers as PyTorch does.

    python benchmarks/evaluation.py RUN --workspace WORKSPACE --data ../shared/data/glue

Each runtime that is installed answers all evaluation examples in the batches of `prune evaluate`:
sorted by length, 4,096 tokens at most. They take turns on one thread, timed by the processor. What
ONNX Runtime and OpenVINO read has to be written first; that time is told apart, and so is from how
many examples on a runtime pays for it. A runtime agrees where no logit is further from PyTorch's
in float32 than an export may be.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from prunecli.errors import InputError
from prunecli.machine.extras import ONNX, installed
from prunecli.machine.hardware import machine
from prunecli.models import loading as models
from prunecli.models.labels import label_order
from prunecli.onnxfile.write import write_onnx
from prunecli.pipelines.evaluate import run_inputs
from prunecli.pipelines.exports.onnx import TOLERANCE
from prunecli.pipelines.job import Job
from prunecli.runtimes import RUNTIMES, Classifier
from prunecli.runtimes.opening import load, model_folder
from prunecli.settings.model import Settings
from prunecli.store.workspace import Workspace


def opened(folder: Path, onnx: Path) -> dict[str, Classifier]:
    """Each runtime at hand with the model in it, and told what is not."""
    readers = {"onnxruntime": ONNX, "onnxruntime-unfused": ONNX, "openvino": ("openvino",)}
    found: dict[str, Classifier] = {}
    for name in ("torch", "torch-bf16", *readers):
        if name in readers and not installed(*readers[name]):
            print(f"{name}: not installed")
            continue
        try:
            path = onnx if name in readers else folder
            found[name] = RUNTIMES.get(name).open(path, threads=1)
        except InputError as error:
            print(f"{name}: {error}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--data", help="where it is not where the run was made with it")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    models.quiet_transformers()
    asked = {"data": given.data} if given.data else {}
    job = Job(Settings(device="cpu", **asked), Workspace(given.workspace), command="benchmark")
    run = job.workspace.get(given.run)
    inputs = run_inputs(job, run, max_eval_samples=None, max_seq_length=run.spec.max_seq_length)
    with (
        model_folder(job.workspace.run_dir(run.name)) as folder,
        tempfile.TemporaryDirectory() as temporary,
    ):
        began, onnx = time.process_time(), Path(temporary) / "model.onnx"
        model = load(folder)
        write_onnx(model, onnx)
        written = time.process_time() - began
        tokenizer = models.load_tokenizer(str(folder))
        outputs = label_order(model.config, inputs.task, run.name)
        classifiers = opened(folder, onnx)
        seconds = dict.fromkeys(classifiers, math.inf)
        answers: dict[str, np.ndarray] = {}
        for _ in range(given.rounds):
            for name, classifier in classifiers.items():
                began = time.process_time()
                found = inputs.answers(classifier, tokenizer, outputs, title=name)
                seconds[name] = min(seconds[name], time.process_time() - began)
                answers[name] = np.concatenate([part.logits for part in found.values()])
    about, usual, examples = machine("cpu"), answers["torch"], len(answers["torch"])
    print(f"{run.name}, {examples:,} examples, one thread, best of {given.rounds}, processor time")
    print(f"{about.processor}; {', '.join(sorted({RUNTIMES.get(n).version() for n in answers}))}")
    print(f"writing the ONNX file: {written:.1f} s\n")
    print("| runtime | seconds | as fast | furthest logit | agrees | other answers | pays from |")
    print("|---|---:|---:|---:|---|---:|---:|")
    for name, logits in answers.items():
        far = float(np.abs(logits - usual).max())
        other = int((logits.argmax(1) != usual.argmax(1)).sum())
        saved = (seconds["torch"] - seconds[name]) / examples
        pays = "—" if saved <= 0 else f"{written / saved:,.0f}" if "torch" not in name else "1"
        agrees = "yes" if far <= TOLERANCE else "no"
        print(
            f"| {name} | {seconds[name]:.2f} | {seconds['torch'] / seconds[name]:.2f} | {far:.1e} "
            f"| {agrees} | {other} | {pays} |"
        )


if __name__ == "__main__":
    main()

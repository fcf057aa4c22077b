"""How far an artefact's answers go with their batch: alone, by length, and in random orders.

    python benchmarks/int8_batches.py ARTEFACT... --data DATA -w WORKSPACE

Each artefact is answered on the examples of its run, one at a time without padding, then in batches
as evaluation makes them, of similar length and of random orders. What is printed of these is the
score's range over all, the most answers of another class than alone, and the furthest logit.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from prunecli.data import mixed_batches
from prunecli.models.labels import label_order
from prunecli.pipelines.batching import EVALUATION_BATCH, TOKENS_PER_BATCH, alone, together
from prunecli.pipelines.evaluate import run_inputs
from prunecli.pipelines.job import Job
from prunecli.pipelines.reading import read_back
from prunecli.pipelines.subjects import run_of_artefact
from prunecli.settings.model import Settings
from prunecli.store.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("artefacts", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("-w", "--workspace", default="workspace")
    parser.add_argument("--orders", type=int, default=20)
    arguments = parser.parse_args()
    job = Job(Settings(data=arguments.data), Workspace(Path(arguments.workspace)), "benchmark")
    mixed = partial(mixed_batches, batch_size=EVALUATION_BATCH, max_tokens=TOKENS_PER_BATCH)
    orders = [partial(mixed, seed=seed) for seed in range(arguments.orders)]
    for name in arguments.artefacts:
        artefact = job.workspace.find_artefact(name)
        if artefact is None:
            parser.error(f"no artefact {name}")
        run = run_of_artefact(job.workspace, artefact)
        inputs = run_inputs(
            job,
            run,
            max_eval_samples=run.spec.evaluation.max_eval_samples,
            max_seq_length=artefact.max_seq_length,
        )
        folder = job.workspace.verified_artefact(artefact)
        with read_back(job, artefact.spec, folder, inputs.task, precision="float32") as back:
            outputs = label_order(back.config, inputs.task, name)
            asked = (back.classifier, back.tokenizer, outputs)
            began = perf_counter()
            (single,) = inputs.answers_in(*asked, [alone], title=name)
            seconds = perf_counter() - began
            began = perf_counter()
            batched = inputs.answers_in(*asked, [together, *orders], title=name)
            each = (perf_counter() - began) / len(batched)
            depends = back.classifier.answers_depend_on_batch
        metric = inputs.task.primary_metric
        for split, found in single.items():
            scores = [100 * inputs.metrics(one)[split][metric] for one in batched]
            changed = [int((one[split].answers != found.answers).sum()) for one in batched]
            furthest = max(np.abs(one[split].logits - found.logits).max() for one in batched)
            print(f"{name}, {split}: depends on the batch: {'yes' if depends else 'no'}")
            print(
                f"  alone {100 * inputs.metrics(single)[split][metric]:.2f} ({seconds:.0f} s); by "
                f"length {scores[0]:.2f}; {len(orders)} orders {min(scores[1:]):.2f} to "
                f"{max(scores[1:]):.2f} ({each:.0f} s each); answers that differ from alone "
                f"{min(changed)} to {max(changed)} of {len(found.labels)}; logits by {furthest:.2g}"
            )


if __name__ == "__main__":
    main()

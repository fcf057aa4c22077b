"""A fabricated workspace: records and predictions with chosen accuracies, no model anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import numpy as np

from prunecli.evaluation.metrics import METRIC_FUNCTIONS
from prunecli.records.artefacts import ArtefactRecord, ArtefactSpec, Ledger, artefact_name
from prunecli.records.benches import (
    BenchRecord,
    BenchSpec,
    Cell,
    Contender,
    Estimate,
    InputShape,
    bench_name,
)
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    DataInfo,
    LayerSparsity,
    MachineInfo,
    ModelInfo,
    PrunedSpec,
    RunRecord,
    Spec,
    TrainingInfo,
    run_name,
)
from prunecli.store.predictions import Predictions
from prunecli.tasks import TASKS

PRUNABLE = 42_467_328
PARAMETERS = 66_955_010
LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
STUDY = {
    "sst2": (
        90.83,
        (86.8, 85.1, 82.6, 81.3, 77.0, 66.1, 73.7),
        (88.42, 86.4, 83.38, 82.1, 80.62, 78.0, 75.46),
    ),
    "mnli": (
        82.21,
        (77.0, 66.0, 46.7, 36.2, 34.3, 34.6, 35.6),
        (76.16, 60.0, 42.09, 37.5, 34.62, 34.2, 34.10),
    ),
    "qqp": (
        90.29,
        (88.7, 85.4, 78.3, 65.8, 63.2, 63.2, 63.2),
        (88.26, 82.0, 72.20, 66.0, 63.19, 63.2, 63.21),
    ),
}
"""Accuracy in %: dense, global, layer-wise at `LEVELS`."""
TRUTH = {"sst2": 0.509, "mnli": 0.354, "qqp": 0.632}
"""Share of the most frequent class."""
MACHINE = MachineInfo(
    system="Linux 6.1",
    processor="Some processor",
    cores=2,
    memory_gib=15.6,
    device="cpu",
    threads=2,
    versions={"prune": "0.1.0", "torch": "2.13.0"},
)


@dataclass
class Fabricated:
    """Records and predictions that fit each other."""

    examples: int = 872
    generated: bool = False
    records: list[RunRecord] = field(default_factory=list)
    artefacts: list[ArtefactRecord] = field(default_factory=list)
    files: dict[str, dict[str, Predictions]] = field(default_factory=dict)

    def predictions(self, name: str) -> dict[str, Predictions]:
        return self.files[name]

    def baseline(self, task: str = "sst2", accuracy: float = 90.0, **changes: object) -> RunRecord:
        spec = BaselineSpec(
            **{"task": task, "model": "distilbert-base-uncased", "data": "sha256:" + "a" * 64}
            | changes
        )
        return self._add(spec, accuracy, 0.0)

    def pruned(
        self,
        source: RunRecord,
        level: float,
        accuracy: float,
        strategy: str = "global",
        **changes: object,
    ) -> RunRecord:
        given = {
            "task": source.spec.task,
            "source": source.name,
            "data": source.spec.data,
            "strategy": strategy,
            "criterion": "magnitude",
            "level": level,
            "seed": source.spec.seed,
            "max_seq_length": source.spec.max_seq_length,
            "evaluation": source.spec.evaluation,
        }
        given |= changes
        if given.get("cut") is not None:
            del given["level"]
            return self._add(CutSpec(**given), accuracy, level)
        return self._add(PrunedSpec(**given), accuracy, level)

    def artefact(
        self,
        source: RunRecord | ArtefactRecord,
        accuracy: float | None = None,
        packed: int = 31_000_000,
        dense: int = 268_000_000,
        **changes: object,
    ) -> ArtefactRecord:
        """What was exported of a run or artefact; the same answers unless ``accuracy`` is given."""
        spec = ArtefactSpec(**{"source": source.name, "format": "packed"} | changes)
        run = source if isinstance(source, RunRecord) else self.run(source.run)
        name = artefact_name(spec)
        task = TASKS.get(run.spec.task)
        files = self.files[source.name]
        if accuracy is not None:
            files = {
                split.name: self._answers(run.spec, name, place, accuracy)
                for place, split in enumerate(task.splits)
            }
        metrics = {
            split: {
                metric: METRIC_FUNCTIONS[metric](found.labels, found.answers, task.num_labels)
                for metric in task.metrics
            }
            for split, found in files.items()
        }
        record = ArtefactRecord(
            name=name,
            spec=spec,
            run=run.name,
            task=run.task,
            command=f"prune export {source.name}",
            created=run.created + timedelta(days=1),
            data=run.data,
            model=run.model,
            sparsity=run.sparsity,
            metrics=metrics,
            source_metrics=source.metrics,
            difference=0.0,
            drop=None,
            exact=accuracy is None,
            ledger=Ledger(dense=dense, artefact=packed),
            seconds={},
            precision="float32",
            max_seq_length=128,
            machine=MACHINE,
            files={},
        )
        self.artefacts.append(record)
        self.files[name] = files
        return record

    def weights(self, *runs: RunRecord) -> None:
        """Make these runs one model: the weights, answers and scores of the first."""
        first = runs[0]
        for run in runs:
            changes = {"files": {"model/model.safetensors": f"of {first.name}"}}
            changes |= {"metrics": first.metrics}
            place = [record.name for record in self.records].index(run.name)
            self.records[place] = run.model_copy(update=changes)
            self.files[run.name] = self.files[first.name]

    def run(self, name: str) -> RunRecord:
        return next(record for record in self.records if record.name == name)

    def study(self, *tasks: str, seeds: int = 1) -> Fabricated:
        """The study's table for these tasks, both strategies, all seven levels."""
        for task in tasks or tuple(STUDY):
            dense, *curves = STUDY[task]
            for seed in range(42, 42 + seeds):
                base = self.baseline(task, dense, seed=seed)
                for strategy, values in zip(("global", "layerwise"), curves, strict=True):
                    for level, value in zip(LEVELS, values, strict=True):
                        self.pruned(base, level, value, strategy)
        return self

    def _add(self, spec: Spec, accuracy: float, level: float) -> RunRecord:
        name = run_name(spec)
        task = TASKS.get(spec.task)
        files = {
            split.name: self._answers(spec, name, place, accuracy)
            for place, split in enumerate(task.splits)
        }
        zeros = round(level * PRUNABLE)
        record = RunRecord(
            name=name,
            spec=spec,
            task=task.info(task.name),
            command=f"prune sweep --task {spec.task} --strategy global layerwise",
            created=datetime(2026, 1, 2, tzinfo=timezone.utc) + timedelta(minutes=len(self.files)),
            data=DataInfo(
                source="generated" if self.generated else "hub",
                fingerprint=spec.data,
                generated=self.generated,
                evaluation_examples={split: len(found.labels) for split, found in files.items()},
            ),
            model=ModelInfo(
                name="distilbert-base-uncased",
                fingerprint="sha256:" + "b" * 64,
                architecture="distilbert",
                parameters=PARAMETERS,
                nonzero_parameters=PARAMETERS - zeros,
                prunable=PRUNABLE,
                label_names=list(task.label_names),
            ),
            layers={"encoder": LayerSparsity(zeros=zeros, size=PRUNABLE)},
            metrics={
                split: {
                    metric: METRIC_FUNCTIONS[metric](found.labels, found.answers, task.num_labels)
                    for metric in task.metrics
                }
                for split, found in files.items()
            },
            seconds={"evaluate": 1.0},
            training=TrainingInfo(
                steps=1, examples=67_349, loss=0.1, precision="bf16", device="cpu"
            )
            if isinstance(spec, BaselineSpec)
            else None,
            machine=MACHINE,
            files={},
        )
        self.records.append(record)
        self.files[name] = files
        return record

    def _answers(self, spec: Spec, name: str, place: int, accuracy: float) -> Predictions:
        """Right on the share ``accuracy`` % of the examples, mostly on the easiest ones."""
        task = TASKS.get(spec.task)
        n = self.examples
        shared = np.random.default_rng([place, len(spec.task), n])
        own = np.random.default_rng([place, *name.encode()])
        ease = shared.normal(size=n) + own.normal(scale=0.5, size=n)
        index = np.arange(n)
        if task.regression:
            labels = shared.uniform(0, 5, size=n).astype(np.float32)
            noise = (100 - accuracy) / 10
            answers = labels + noise * own.normal(size=n).astype(np.float32)
            return Predictions(index, labels, answers[:, None])
        classes = task.num_labels
        share = TRUTH.get(spec.task, 1 / classes)
        labels = np.where(
            np.arange(n) < round(share * n), 0, 1 + np.arange(n) % max(classes - 1, 1)
        )
        shared.shuffle(labels)
        right = np.zeros(n, dtype=bool)
        right[np.argsort(-ease)[: round(accuracy / 100 * n)]] = True
        answers = np.where(
            right, labels, (labels + 1 + own.integers(classes - 1, size=n)) % classes
        )
        logits = np.eye(classes, dtype=np.float32)[answers]
        return Predictions(index, labels.astype(np.int64), logits)


def bench(
    *contenders: Contender,
    shapes: tuple[InputShape, ...] | None = None,
    minute: int = 0,
    **changes: object,
) -> BenchRecord:
    """A measurement of these contenders, at the shapes of the first unless told otherwise."""
    given = {
        "subjects": tuple(one.subject for one in contenders if not one.dense),
        "against": next((one.subject for one in contenders if one.dense), "nothing"),
        "shapes": shapes or tuple(cell.shape for cell in contenders[0].cells),
        "threads": 2,
        "rounds": 7,
        "starts": 3,
    }
    spec = BenchSpec(**given | changes)
    return BenchRecord(
        name=bench_name(spec),
        spec=spec,
        command="prune bench",
        created=datetime(2026, 1, 3, tzinfo=timezone.utc) + timedelta(minutes=minute),
        machine=MACHINE,
        cores=(0, 1),
        contenders=contenders,
    )


SHAPES = (InputShape(batch=1, tokens=128), InputShape(batch=32, tokens=128))


def contender(
    subject: str,
    *ratios: tuple[float, float, float],
    dense: bool = False,
    runtime: str = "onnxruntime",
    file_bytes: int = 268_000_000,
    **changes: object,
) -> Contender:
    """Something measured at the first `SHAPES`: times faster, with ends; the dense has none."""
    cells = []
    for place, shape in enumerate(SHAPES[: len(ratios) or None]):
        time = 50.0 * shape.batch / (ratios[place][0] if ratios else 1.0)
        cells.append(
            Cell(
                shape=shape,
                calls=70,
                p50=Estimate(value=time, low=0.97 * time, high=1.04 * time),
                p95=1.2 * time,
                ratio=Estimate(**dict(zip(("value", "low", "high"), ratios[place], strict=True)))
                if ratios
                else None,
                reference="onnxruntime" if ratios else None,
            )
        )
    given = {
        "subject": subject,
        "dense": dense,
        "runtime": runtime,
        "version": "1.2",
        "file_bytes": file_bytes,
        "start_seconds": 1.0,
        "memory_bytes": 400_000_000,
        "cells": tuple(cells),
    }
    return Contender(**given | changes)

"""The header of a model card: metadata as YAML, which the Hugging Face hub reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from prunecli.data.hub import REPOSITORY
from prunecli.data.source import HUB
from prunecli.records.runs import CutSpec, PrunedSpec, RunRecord
from prunecli.text.markup import one_line

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

PIPELINE: Final = "text-classification"
HUB_METRICS: Final[Mapping[str, str]] = {
    "matthews": "matthews_correlation",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
}
"""What the hub calls a metric, where it has another name for it."""
DEMO = "demo"
"""The fingerprint of a model that started from nothing (see `BaselineSpec.model`)."""
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_LONG = 1000


def header(record: RunRecord, baseline: RunRecord | None) -> str:
    """The metadata as YAML; ``huggingface_hub`` quotes what YAML would read otherwise."""
    from huggingface_hub import ModelCardData

    hub = from_hub(record)
    learnt = any(run.training is not None for run in (record, baseline) if run is not None)
    tags = ["prunecli"]
    if isinstance(record.spec, PrunedSpec):
        tags += ["pruning", "sparse", record.spec.pattern]
    elif isinstance(record.spec, CutSpec):
        tags += ["pruning", "structured"]
    if record.data.generated:
        tags.append("generated-data")
    metrics = dict.fromkeys(name for found in record.metrics.values() for name in found)
    data = ModelCardData(
        language="en" if hub else None,  # GLUE is
        library_name="transformers",
        pipeline_tag=PIPELINE,
        base_model=hub_id(record),
        datasets=[REPOSITORY] if hub and learnt else None,
        tags=tags,
        metrics=[_hub_metric(name) for name in metrics],
        model_name=record.name,
        eval_results=_results(record),
    )
    return data.to_yaml()


def _results(record: RunRecord) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    hub, title = from_hub(record), one_line(record.task.title, _LONG)
    kind, name = "local", title
    if record.data.generated:
        kind, name = "generated", f"generated data in the shape of {title}"
    elif hub:
        kind, name = REPOSITORY, f"GLUE {title}"
    return [
        EvalResult(
            task_type=PIPELINE,
            dataset_type=kind,
            dataset_name=name,
            dataset_config=record.task.name if hub else None,
            dataset_split=split,
            metric_type=_hub_metric(metric),
            metric_value=value,
        )
        for split, found in record.metrics.items()
        for metric, value in found.items()
    ]


def from_hub(record: RunRecord) -> bool:
    """Whether its data are GLUE's, from the hub."""
    return record.data.source == HUB


def _hub_metric(name: str) -> str:
    return HUB_METRICS.get(name, name)


def hub_id(record: RunRecord) -> str | None:
    """The hub's model that it started from; ``None`` for a local folder and the demo's."""
    name, _, _ = record.model.fingerprint.partition("@")
    return name if name != DEMO and _HUB_ID.fullmatch(name) else None

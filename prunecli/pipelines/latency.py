"""What an attention of so many heads and a feed-forward part of so many neurons take here.

Models of two blocks with weights from nothing are written as they would be deployed, and measured
in turns. That is done once for a machine, a deployment and a shape, and kept in the workspace: the
table of latencies of ZipLM (Kurtic, Frantar & Alistarh, NeurIPS 2023).
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from operator import truediv
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from prunecli.core.cutting import cut_to_, unit_counts
from prunecli.core.sublayers import KINDS
from prunecli.errors import InputError
from prunecli.pipelines.contenders import Subject
from prunecli.pipelines.deployments import DEPLOYMENTS
from prunecli.pipelines.job import Job
from prunecli.pipelines.timing import Timer, timer
from prunecli.progress import Progress
from prunecli.records.cuts import Speed
from prunecli.records.latency import LatencySpec, LatencyTable, Times, latency_name
from prunecli.runtimes import RUNTIMES

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BLOCKS: Final = 2
_WORDS: Final = 1024
"""What an embedding looks up takes as long in a large table as in a small one."""
_ROUNDS: Final = 9
_TOGETHER: Final = 8
"""Models that are in memory at once."""
_MOST_HEADS: Final = 12
"""Up to so many every number of heads is measured."""
_SHARES: Final = (0.0, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
_IGNORED: Final = (
    *("_name_or_path", "architectures", "id2label", "label2id", "transformers_version"),
    *("finetuning_task", "problem_type", "dtype", "torch_dtype"),
)
"""What a configuration says that has no part in how long a block takes."""


def latency_table(job: Job, config: Any, speed: Speed) -> LatencyTable:
    """The table for models of ``config`` where ``speed`` is asked for, found or measured.

    Raises `InputError` where such models cannot be made or do not answer.
    """
    small = _two_blocks(config)
    deployment = DEPLOYMENTS.get(speed.deployment)
    deployment.check()
    spec = LatencySpec(
        blocks=_fingerprint(small),
        runtime=RUNTIMES.get(deployment.format.runtime).version(),
        **speed.model_dump(include={"deployment", "batch", "tokens", "threads", "processor"}),
    )
    found = job.workspace.find_latency(latency_name(spec))
    if found is not None:
        return found
    job.progress.notice(
        f"measuring once what heads and neurons take, {speed.where}: a minute or a few"
    )
    heads, neurons = _measured(job.progress, small, speed)
    table = LatencyTable(
        name=latency_name(spec),
        spec=spec,
        created=datetime.now(timezone.utc),
        heads=heads,
        neurons=neurons,
    )
    with job.workspace.writing():
        job.workspace.write_latency(table)
    return table


def _two_blocks(config: Any) -> Any:
    """``config`` with two blocks and few words."""
    small = copy.deepcopy(config)
    blocks = getattr(small, "num_hidden_layers", None)
    if not isinstance(blocks, int):
        raise InputError("the configuration does not say how many blocks there are")
    for key, value in small.to_dict().items():
        if isinstance(value, list) and len(value) == blocks:
            setattr(small, key, value[:_BLOCKS])
    small.num_hidden_layers = _BLOCKS
    small.vocab_size, small.pad_token_id = min(small.vocab_size, _WORDS), 0
    return small


def _fingerprint(config: Any) -> str:
    said = {key: value for key, value in config.to_dict().items() if key not in _IGNORED}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _measured(progress: Progress, config: Any, speed: Speed) -> tuple[Times, Times]:
    """What each number of heads, and of neurons, takes in one block."""
    model = _from_nothing(config)
    dense = unit_counts(model)
    most = {kind: max(dense[kind]) for kind in KINDS}
    half = _Size(max(1, most["heads"] // 2), max(1, most["neurons"] // 2))
    heads = [replace(half, heads=count) for count in _head_counts(most["heads"])]
    neurons = [replace(half, neurons=count) for count in _neuron_counts(most["neurons"])]
    sizes = [half, *(size for size in dict.fromkeys((*heads, *neurons)) if size != half)]
    written: dict[_Size, Subject] = {}
    with timer(config, speed, progress) as times:
        with progress.bar("sizes", len(sizes)) as bar:
            for size in sizes:
                cut = copy.deepcopy(model)
                cut_to_(cut, {kind: (getattr(size, kind),) * len(dense[kind]) for kind in KINDS})
                try:
                    written[size] = times.write(cut, str(size))
                except InputError:  # some encoders must keep a head in each layer
                    if size == half:
                        raise
                bar.advance()
        found = _in_turns(times, written)
    return (
        _in_one_block([(size.heads, found[size]) for size in heads if size in found]),
        _in_one_block([(size.neurons, found[size]) for size in neurons if size in found]),
    )


@dataclass(frozen=True)
class _Size:
    """How many units each block has."""

    heads: int
    neurons: int

    def __str__(self) -> str:
        return f"{self.heads} heads and {self.neurons} neurons"


def _from_nothing(config: Any) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    return model.eval()


def _in_turns(times: Timer, written: Mapping[_Size, Subject]) -> dict[_Size, float]:
    """Milliseconds of each that answers, a few at a time, always with the first among them."""
    anchor, *others = written
    found: dict[_Size, float] = {}
    for start in range(0, len(others), _TOGETHER):
        part = others[start : start + _TOGETHER]
        first, *rest = times.rounds([written[size] for size in (anchor, *part)], _ROUNDS)
        if isinstance(first, InputError):
            raise first
        found.setdefault(anchor, median(first))
        for size, own in zip(part, rest, strict=True):
            if not isinstance(own, InputError):
                found[size] = found[anchor] * median(map(truediv, own, first))
    return found


def _head_counts(most: int) -> list[int]:
    if most <= _MOST_HEADS:
        return list(range(most + 1))
    return sorted({round(most * share) for share in _SHARES} | {1})


def _neuron_counts(most: int) -> list[int]:
    return sorted({round(most * share) for share in _SHARES})


def _in_one_block(times: Sequence[tuple[int, float]]) -> Times:
    """What each takes beyond the first, made never to fall by isotonic regression."""
    from sklearn.isotonic import isotonic_regression

    if len(times) < 2:
        raise InputError("models with fewer heads or neurons do not answer here")
    smooth = isotonic_regression([time for _, time in times])
    return tuple(
        (count, float(time - smooth[0]) / _BLOCKS)
        for (count, _), time in zip(times, smooth, strict=True)
    )

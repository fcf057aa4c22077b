"""What is pruned tensor by tensor: found by the model's structure, and seen to fit its files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prunecli.core.criteria import CRITERIA
from prunecli.core.criteria.reconstruction import Reconstruction
from prunecli.core.engine import check_level, shares_budgets
from prunecli.core.flat import packed_size
from prunecli.core.scope import prunable
from prunecli.errors import InputError, IntegrityError, UsageError
from prunecli.files import expanded
from prunecli.models import loading as models
from prunecli.models.claims import check_size
from prunecli.models.head import check_sizes, in_encoder
from prunecli.models.unused import check_all_used
from prunecli.models.weightfiles import weight_files
from prunecli.packed.container import StoredTensor
from prunecli.packed.shards import Mapped, Shard
from prunecli.pipelines.job import Job
from prunecli.pipelines.preflight import check_pattern
from prunecli.pipelines.streaming.blocks import Blocks
from prunecli.pipelines.streaming.calibrated import Calibration, calibration
from prunecli.pipelines.streaming.spill import bytes_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_EXACT: Final = ("BF16", "F16", "F32")
"""Types that float32 holds exactly, as models are in memory."""


@dataclass(frozen=True)
class Asked:
    """How a model is to be pruned."""

    level: float
    strategy: str = "global"
    criterion: str = "magnitude"
    pattern: str = "unstructured"
    seed: int = 42
    revive_zeros: bool = False


@dataclass(frozen=True)
class Learning:
    """What reconstruction needs besides the files."""

    calibration: Calibration
    blocks: Blocks
    spilled: int
    """Bytes of what one block gives for all examples, before pruning and after: both are kept."""


@dataclass(frozen=True)
class Streamed:
    """A model folder and what of it is pruned; nothing but headers was read.

    To learn from examples, what lies beside the blocks was read, and the first block.
    """

    folder: Path
    asked: Asked
    model: PreTrainedModel
    """Without memory for its weights."""
    shards: tuple[Shard, ...]
    names: Mapping[str, str]
    """Name in the files of each parameter, shared ones once, by its name in the model."""
    learning: Learning | None = None
    """Where weights are reconstructed."""

    @property
    def prunable(self) -> tuple[str, ...]:
        """Names of the prunable parameters, in the order of the model."""
        return tuple(prunable(self.model))

    @property
    def weights(self) -> Mapped:
        """The prunable weights as they are stored, by their names in the model."""
        places = self.places
        found = {name: places[self.names[name]] for name in self.prunable}
        return Mapped({name: (shard.path, stored) for name, (shard, stored) in found.items()})

    @property
    def places(self) -> dict[str, tuple[Shard, StoredTensor]]:
        """Where each tensor of the files is, by its name there."""
        return {
            name: (shard, stored)
            for shard in self.shards
            for name, stored in shard.container.tensors.items()
        }

    @property
    def bytes(self) -> int:
        """What the pruned model and its mask take, configuration and tokenizer not counted."""
        weights = sum(shard.path.stat().st_size for shard in self.shards)
        return weights + sum(packed_size(p.numel()) for p in prunable(self.model).values())

    @property
    def spilled(self) -> int:
        """What is on the disk besides until it is made."""
        return self.learning.spilled if self.learning else 0


def learns(criterion: str) -> bool:
    """Whether ``criterion`` needs examples. Raises `UsageError` for one that cannot be streamed."""
    found = CRITERIA.get(criterion)
    if found.needs != "weights" and not found.repairs:
        raise UsageError(
            f"--stream prunes by the weights alone or reconstructs, and '{criterion}' does neither",
            hint="--criterion magnitude or --criterion reconstruction",
        )
    return found.repairs


def streamed(
    source: str, asked: Asked, job: Job | None = None, labels: Sequence[str] = ()
) -> Streamed:
    """The model folder ``source``, seen to be one that can be pruned as ``asked``.

    ``job`` says where the examples are, for a criterion that `learns`, and ``labels`` what the
    model's outputs stand for where it does not say it. Raises `UsageError` for a criterion that can
    not be streamed, one that learns and shares a budget among layers, a level outside [0, 1) and a
    pattern that does not fit; `InputError` for what is no folder of a finished classifier, or has
    weights in another type than float32, float16 or bfloat16 or under other names than the model
    has them, and for a model to reconstruct that is not made of blocks which follow each other; and
    `IntegrityError` at a corrupt file.
    """
    check_level(asked.level)
    repairs = learns(asked.criterion)
    folder = expanded(source)
    if not folder.is_dir():
        raise InputError(
            f"--stream reads a model folder, and {source} is none",
            hint="give one with config.json and safetensors weights: --from FOLDER",
        )
    models.check_folder(str(folder))
    model = models.skeleton_of(str(folder))
    check_size(folder, model)
    check_pattern(model, asked.pattern)
    own = CRITERIA.get(asked.criterion) is not Reconstruction
    if repairs and own and shares_budgets(model, asked.strategy):
        raise UsageError(
            f"--stream shares no budget among layers by the scores of '{asked.criterion}'",
            hint="give each layer its own: --strategy layerwise",
        )
    shards = tuple(Shard.of(path) for path in weight_files(folder))
    made_of = Streamed(folder, asked, model, shards, _names(model, shards, source))
    if not repairs or job is None:
        return made_of
    return replace(made_of, learning=_learning(made_of, job, labels))


def _learning(made_of: Streamed, job: Job, labels: Sequence[str]) -> Learning:
    asked, model = made_of.asked, made_of.model
    blocks = Blocks(model, made_of.names, made_of.places)
    given = calibration(job, str(made_of.folder), model, asked.criterion, asked.seed, labels)
    blocks.open()
    first = given.batches[0]
    each = bytes_of(blocks.first_answer(first)) / first["input_ids"].numel()
    return Learning(given, blocks, 2 * math.ceil(each * given.tokens))


def _names(model: PreTrainedModel, shards: tuple[Shard, ...], source: str) -> dict[str, str]:
    """The name in the files of each parameter; raises as `streamed` does."""
    stored: dict[str, StoredTensor] = {}
    for shard in shards:
        for twice in stored.keys() & shard.container.tensors.keys():
            raise IntegrityError(f"'{twice}' is in several weight files of {source}")
        stored |= shard.container.tensors
    called: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        called.setdefault(id(parameter), []).append(name)
    known = {name for names in called.values() for name in names}
    unknown = stored.keys() - known - {name for name, _ in model.named_buffers()}
    check_all_used(model, unknown, source)
    check_sizes(
        model,
        source,
        [
            (name, stored[name].shape, tuple(parameter.shape))
            for name, parameter in model.named_parameters(remove_duplicate=False)
            if name in stored and stored[name].shape != tuple(parameter.shape)
        ],
        trained=True,
        new_head=False,
    )
    names = {}
    wanted = prunable(model)
    for name, parameter in model.named_parameters():
        found = [one for one in called[id(parameter)] if one in stored]
        if not found:
            _refuse_missing(model, name, source)
        names[name] = found[0]
        if name in wanted and len(found) > 1:
            raise InputError(
                f"{source} has one weight twice, as '{found[0]}' and '{found[1]}'",
                hint="load it and save it once: model.save_pretrained(NEW)",
            )
        kind = stored[found[0]].dtype
        if kind not in _EXACT:
            raise InputError(
                f"'{found[0]}' in {source} is {kind}, and --stream reads {', '.join(_EXACT)}",
                hint="prune it in memory, without --stream, or save it in one of these types",
            )
    return names


def _refuse_missing(model: PreTrainedModel, name: str, source: str) -> None:
    if in_encoder(model, name) and "pooler" not in name:
        raise InputError(
            f"{source} has no '{name}', or has it under another name",
            hint="load it and save it once, as --stream reads weights by the names of the model: "
            "model.save_pretrained(NEW, save_original_format=False)",
        )
    raise InputError(
        f"{source} is not a trained sequence classifier: it has no {name}",
        hint=f"train one first: prune train-baseline --task NAME --model {source}",
    )

"""What is pruned tensor by tensor: found by the model's structure, and seen to fit its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prunecli.core.criteria import CRITERIA
from prunecli.core.engine import check_level
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
from prunecli.packed.shards import Shard
from prunecli.pipelines.preflight import check_pattern

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
class Streamed:
    """A model folder and what of it is pruned; nothing but headers was read."""

    folder: Path
    asked: Asked
    model: PreTrainedModel
    """Without memory for its weights."""
    shards: tuple[Shard, ...]
    names: Mapping[str, str]
    """Name in the files of each parameter, shared ones once, by its name in the model."""

    @property
    def prunable(self) -> tuple[str, ...]:
        """Names of the prunable parameters, in the order of the model."""
        return tuple(prunable(self.model))

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


def streamed(source: str, asked: Asked) -> Streamed:
    """The model folder ``source``, seen to be one that can be pruned as ``asked``.

    Raises `UsageError` for a criterion that learns from data, a level outside [0, 1) and a pattern
    that does not fit; `InputError` for what is no folder of a finished classifier, or has weights
    in another type than float32, float16 or bfloat16 or under other names than the model has them;
    and `IntegrityError` at a corrupt file.
    """
    check_level(asked.level)
    if CRITERIA.get(asked.criterion).needs != "weights":
        raise UsageError(
            f"--stream has no examples, and '{asked.criterion}' learns from them",
            hint="give a criterion of the weights alone: --criterion magnitude",
        )
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
    shards = tuple(Shard.of(path) for path in weight_files(folder))
    return Streamed(folder, asked, model, shards, _names(model, shards, source))


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

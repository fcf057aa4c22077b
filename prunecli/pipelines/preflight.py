"""What can refuse a run, asked before anything is trained or scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from prunecli.core.patterns import parse_pattern
from prunecli.core.scope import layouts, prunable
from prunecli.core.sublayers import sublayers_of
from prunecli.data import hold_out
from prunecli.errors import InputError
from prunecli.models import loading as models
from prunecli.models.padding import agree_on_padding
from prunecli.models.positions import check_positions
from prunecli.pipelines.job import Inputs
from prunecli.pipelines.room import Plans, check_disk, check_memory, steps_of_training
from prunecli.records.runs import TrainingSpec
from prunecli.settings.model import Settings, cuts
from prunecli.text.numbers import counted

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def check_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_seq_length: int
) -> None:
    """Raise `InputError` unless a model, its tokenizer and a length can be used together.

    It has positions for so many tokens, a row for each of the tokenizer's ids, padding where it
    looks for any, and weights that can be pruned. It may be without memory for its weights.
    """
    check_positions(model.config, max_seq_length)
    models.check_tokenizer(model, tokenizer)
    agree_on_padding(model, tokenizer)
    prunable(model)


_BY_BLOCK_OR_GRADIENT: Final = ("reconstruction", "snip", "grasp", "taylor", "fisher")


def check_shapes(model: PreTrainedModel, settings: Settings) -> None:
    """Raise unless what the settings ask for can be removed from a model of these shapes.

    See `check_units`, `check_pattern` and `check_reversible`.
    """
    if cuts(settings):
        check_units(model)
    else:
        check_pattern(model, settings.pattern)
        check_reversible(model, settings.criterion, trains=bool(settings.epochs))


def check_reversible(model: nn.Module, criteria: Sequence[str | None], *, trains: bool) -> None:
    """Raise `InputError` where ``model`` is reversible, as Reformer is, and cannot do without.

    It keeps nothing of a forward pass and makes it anew in a backward pass of its own: it has
    gradients in training alone and its blocks cannot stand by themselves. In training it takes
    texts of one length alone.
    """
    if not any(hasattr(module, "backward_pass") for module in model.modules()):
        return
    name = type(model).__name__
    if trains:
        raise InputError(
            f"{name} cannot be trained here: its reversible layers learn from texts of one length "
            "alone",
            hint="prune it without training, by magnitude or wanda: --from, without --epochs",
        )
    for criterion in criteria:
        if criterion in _BY_BLOCK_OR_GRADIENT:
            raise InputError(
                f"criterion {criterion} cannot rank the weights of {name}: its layers are "
                "reversible, without gradients outside of training and not to be run one by one",
                hint="take --criterion magnitude, random or wanda",
            )


def check_units(model: PreTrainedModel) -> None:
    """Raise `InputError` unless heads and neurons can be cut out of this architecture."""
    sublayers_of(model)


def check_pattern(model: PreTrainedModel, pattern: str) -> None:
    """Raise `UsageError` unless units of ``pattern`` fill every matrix."""
    rule = parse_pattern(pattern)
    for name, how in layouts(model).items():
        rule.check(name, how.sides)


def check_room(
    inputs: Inputs,
    parameters: int,
    *,
    runs: int,
    trainings: Sequence[TrainingSpec],
    keeps_best: bool = False,
    taught: bool = False,
    small: Sequence[int] = (),
) -> None:
    """Raise `InputError` where disk or memory cannot hold ``runs`` models and their ``trainings``.

    ``small`` are the bytes of those besides that are kept in a smaller form. A teacher, if one is
    asked, is taken to be as large as the model.
    """
    from prunecli.training.trainer import CHECKPOINT_EVERY

    examples = len(inputs.data.train or ()) if trainings else 0
    steps = [steps_of_training(examples, one.batch_size, one.epochs) for one in trainings]
    plans = Plans(
        parameters=parameters,
        runs=runs,
        small=sum(small),
        others=len(small),
        steps=max(steps, default=0),
        keeps_best=keeps_best,
        teacher=parameters if taught else 0,
    )
    check_disk(inputs.job.workspace, plans, CHECKPOINT_EVERY)
    check_memory(plans, inputs.job.device)


def held_out_rows(total: int, seed: int) -> tuple[Sequence[int], Sequence[int]]:
    """Of ``total`` training examples the positions to learn from and those held out for a choice.

    Raises `InputError` where there are too few for both.
    """
    learnt_from, held_out = hold_out(total, seed)
    if not learnt_from:
        are = "is" if total == 1 else "are"
        raise InputError(
            f"{counted(total, 'training example')} {are} too few to hold some out, as --keep best "
            "does",
            hint="give more, or --keep last",
        )
    return learnt_from, held_out

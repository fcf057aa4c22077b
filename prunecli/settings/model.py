"""Settings: each of them is one field, with its default, its help and what else is said of it.

Their order stays: the names of sweeps come from it, and of several mistakes the first is told.
Longer than most: it is one table, and whatever lists settings anywhere is derived from it (see
`prunecli.settings.listing`).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from prunecli.records.base import Frozen
from prunecli.records.reading import PARSERS, Reading
from prunecli.settings.kinds import (
    Delimiter,
    Device,
    Durations,
    Encoding,
    Factors,
    Fraction,
    Levels,
    OptionalEpochs,
    OptionalName,
    OptionalPlace,
    OptionalProbability,
    Place,
    Precision,
    Seeds,
    Shape,
    Shares,
    Steps,
    Strings,
    Trackers,
)
from prunecli.settings.levels import DEFAULT_LEVELS
from prunecli.settings.option import PRUNING, RECOVERY, RUNNING, TRAINING, WHAT, Option

_WEIGHTS = "is for single weights"
_recovery = partial(Option, panel=RECOVERY, recipe=True, needs_recovery=True)
_speed = partial(Option, panel=PRUNING, needs_speed=True, place=1, later=True)
_mask_growth = partial(_recovery, not_for_cuts="is for a mask that grows")


class Settings(Frozen):
    """What a user can set, with the defaults of the reproduced study."""

    task: Annotated[
        Strings,
        Option(
            "One or more of {tasks}, or a task file (.toml).",
            WHAT,
            metavar="NAME...",
            completes="tasks",
            run="task",
        ),
    ] = ()
    model: Annotated[
        Place, Option("Hub id or local folder of an encoder.", WHAT, metavar="ID|DIR", run="model")
    ] = "distilbert-base-uncased"
    new_head: Annotated[
        bool,
        Option(
            "Start with a new head for the task's labels where --model has one, of other labels "
            "say; only its encoder is taken.",
            WHAT,
            later=True,
            run="new_head",
        ),
    ] = False
    data: Annotated[
        Place,
        Option(
            "hub (nyu-mll/glue), a folder in GLUE's layout or of save_to_disk, or a "
            "CSV/TSV/JSON/JSONL/Parquet file; the texts also as .gz or .zst.",
            WHAT,
            metavar="hub|PATH",
            run="data",
        ),
    ] = "hub"
    encoding: Annotated[
        Encoding | None,
        Option(
            "Of text files, as cp1252.",
            WHAT,
            metavar="NAME",
            shown="by byte-order mark, else utf-8",
        ),
    ] = None
    delimiter: Annotated[
        Delimiter | None,
        Option(
            "Between the fields of CSV and TSV, as ';' or tab.",
            WHAT,
            metavar="CHAR",
            shown="the one that gives the task's columns",
        ),
    ] = None
    drop_missing: Annotated[
        bool, Option("Leave out the rows of files that have no label.", WHAT)
    ] = False
    large_data: Annotated[
        bool,
        Option(
            "Read files of any size; else at most 1,000,000 rows and 200 MB of text.",
            WHAT,
            later=True,
        ),
    ] = False
    demo: Annotated[
        bool,
        Option(
            "Generated data and a tiny model trained from nothing: no network, under a minute.",
            WHAT,
        ),
    ] = False
    """Overrides ``model`` and ``data``."""
    strategy: Annotated[
        Strings,
        Option(
            "How the budget is shared among layers: {strategies}.",
            PRUNING,
            metavar="NAME...",
            completes="strategies",
            recipe=True,
            run="strategy",
        ),
    ] = ("global",)
    criterion: Annotated[
        Strings,
        Option(
            "How weights are ranked: {criteria}.",
            PRUNING,
            metavar="NAME...",
            completes="criteria",
            recipe=True,
            not_for_cuts="ranks single weights",
            run="criterion",
        ),
    ] = ("magnitude",)
    levels: Annotated[
        Levels,
        Option(
            "Sparsities: 0.5 0.6, or 0.5,0.6, or repeated, or a range 0.5:0.8:0.05.",
            PRUNING,
            metavar="S...",
            not_for_cuts="zeroes single weights",
            place=1,
            run="level",
        ),
    ] = DEFAULT_LEVELS
    pattern: Annotated[
        str,
        Option(
            "Which weights go together: unstructured, N:M such as 2:4 (which is a level of its "
            "own), or block:RxC such as block:16x16.",
            PRUNING,
            metavar="PATTERN",
            recipe=True,
            not_for_cuts=_WEIGHTS,
            run="pattern",
        ),
    ] = "unstructured"
    revive_zeros: Annotated[
        bool,
        Option(
            "Let the zeros of a model that is sparse already come back; otherwise they stay and "
            "count towards the level.",
            PRUNING,
            not_for_cuts=_WEIGHTS,
            run="keep_zeros",
        ),
    ] = False
    calibration_samples: Annotated[
        int,
        Option(
            "Training examples for criteria that learn from data: {criteria_from_data}.",
            PRUNING,
            recipe=True,
            run="calibration_samples",
        ),
        Field(ge=2),
    ] = 512
    heads: Annotated[
        Shares,
        Option(
            "Attention heads to cut out of the matrices; the model becomes smaller, not sparse. "
            "Several fractions are crossed with those of --neurons.",
            PRUNING,
            metavar="FRACTION...",
            shown="",
            run="cut.heads",
        ),
    ] = (0.0,)
    neurons: Annotated[
        Shares,
        Option(
            "Feed-forward neurons to cut out of the matrices.",
            PRUNING,
            metavar="FRACTION...",
            shown="",
            run="cut.neurons",
        ),
    ] = (0.0,)
    unit_criterion: Annotated[
        str,
        Option(
            "How heads and neurons are ranked: {unit_criteria}.",
            PRUNING,
            metavar="NAME",
            completes="unit_criteria",
            needs_cut=True,
            run="criterion",
        ),
    ] = "reconstruction"
    refit: Annotated[
        bool,
        Option(
            "Fit the layers after cut heads and neurons anew, on training examples without "
            "their labels.",
            PRUNING,
            flags=("--refit/--no-refit",),
            shown="--refit",
            needs_cut=True,
            run="cut.refit",
        ),
    ] = True
    seed: Annotated[
        Seeds,
        Option(
            "One or more seeds; each has its own baseline.", RUNNING, metavar="N...", run="seed"
        ),
    ] = (42,)
    baseline_epochs: Annotated[
        float,
        Option(
            "Epochs for a baseline that has to be trained first.", TRAINING, run="training.epochs"
        ),
        Field(gt=0, le=1000),
    ] = 3.0
    recipe: Annotated[
        OptionalPlace,
        Option(
            "Supplies what was not given: {recipes}, a file ending in .toml, or none.",
            RECOVERY,
            place=-1,
            metavar="NAME|FILE",
            completes="recipes",
            shown="{default_recipe} where there are epochs",
        ),
    ] = None
    recover: Annotated[
        bool,
        Option("Short for --recipe {study}, the study's recovery training.", RECOVERY, place=-2),
    ] = False
    epochs: Annotated[
        float,
        Option(
            "Recovery epochs while and after pruning; 0 is one-shot.",
            RECOVERY,
            place=-3,
            shown="0",
            recipe=True,
            run="recovery.epochs",
        ),
        Field(ge=0, le=1000),
    ] = 0.0
    chained: Annotated[
        bool,
        Option(
            "One recovery of --epochs in all that passes every level, lowest first.",
            RECOVERY,
            place=2,
            needs_recovery=True,
            not_for_cuts="goes from level to level",
            run="chain",
        ),
    ] = False
    schedule: Annotated[
        str,
        _mask_growth(
            "How sparsity grows over recovery: {schedules}.",
            times="pruning",
            completes="schedules",
            run="schedule",
        ),
    ] = "polynomial"
    initial_sparsity: Annotated[
        float,
        _mask_growth(
            "Sparsity at which the schedule starts.", times="growth", run="initial_sparsity"
        ),
        Field(ge=0, lt=1),
    ] = 0.5
    first_criterion: Annotated[
        OptionalName,
        _mask_growth(
            "Criterion of the first pruning step, or none for the same as of all.",
            metavar="NAME",
            completes="criteria",
            times="growth",
            run="first_criterion",
        ),
    ] = None
    delay: Annotated[
        Fraction,
        _mask_growth(
            "First fraction of recovery, or epochs as 2ep, before anything is pruned.",
            metavar="PART",
            times="pruning",
            run="delay",
        ),
    ] = 0.0
    update_every: Annotated[
        Steps,
        _mask_growth(
            "Optimiser steps, or epochs as 0.5ep, between two growths of the mask.",
            metavar="STEPS",
            times="growth",
            run="update_every",
        ),
    ] = 50
    settle: Annotated[
        Fraction,
        _mask_growth(
            "Last fraction of recovery, or epochs as 4ep, during which the mask is fixed.",
            metavar="PART",
            times="growth",
            run="settle",
        ),
    ] = 0.25
    recovery_learning_rate: Annotated[
        float | None,
        _recovery(
            "Peak learning rate of recovery.",
            shown="the recipe's, else --learning-rate",
            run="recovery.learning_rate",
        ),
        Field(gt=0, le=1),
    ] = None
    """``None`` is ``learning_rate``, which alone selects the baseline."""
    lr_schedule: Annotated[
        str,
        _recovery(
            "How the learning rate of recovery falls: {lr_schedules}.",
            completes="lr_schedules",
            run="recovery.lr_schedule",
        ),
    ] = "linear"
    rewind_every: Annotated[
        OptionalEpochs,
        _recovery(
            "Epochs, as 2ep, after which the learning rate is at its peak again; or none.",
            metavar="EPOCHS",
            run="recovery.rewind_every",
        ),
    ] = None
    recovery_dropout: Annotated[
        OptionalProbability,
        _recovery(
            "Dropout of recovery, 0 up to 1, or none for the model's own.",
            metavar="P",
            shown="the recipe's, else the model's",
            run="recovery.dropout",
        ),
    ] = None
    hardness: Annotated[
        float,
        _recovery(
            "Distillation: weight of the teacher's answers against the labels, 0 to 1.",
            run="distillation.hardness",
        ),
        Field(ge=0, le=1),
    ] = 0.0
    temperature: Annotated[
        float,
        _recovery(
            "Distillation: by which logits are divided, so that answers are softer.",
            run="distillation.temperature",
        ),
        Field(gt=0, le=100),
    ] = 2.0
    hidden_weight: Annotated[
        float,
        _recovery(
            "Distillation: weight of the distance between hidden states.",
            run="distillation.hidden_weight",
        ),
        Field(ge=0, le=1000),
    ] = 0.0
    teacher: Annotated[
        OptionalPlace,
        Option(
            "Distillation: the classifier to learn from.",
            RECOVERY,
            place=1,
            metavar="RUN|DIR",
            completes="runs",
            shown="the baseline itself",
            needs_recovery=True,
            run="distillation.teacher",
        ),
    ] = None
    keep: Annotated[
        Literal["last", "best"],
        _recovery(
            "Weights to keep: the last, or the best at the final sparsity, as scored on training "
            "examples that are held out for it.",
            metavar="last|best",
            not_for_cuts="chooses among weights at the final sparsity",
            run="keep",
        ),
    ] = "last"
    batch_size: Annotated[
        int,
        Option("Examples per step.", TRAINING, run="training.batch_size"),
        Field(ge=1, le=65536),
    ] = 32
    learning_rate: Annotated[
        float,
        Option(
            "Peak learning rate of AdamW, falling linearly to 0.",
            TRAINING,
            run="training.learning_rate",
        ),
        Field(gt=0, le=1),
    ] = 2e-5
    weight_decay: Annotated[
        float, Option("Decay of AdamW.", TRAINING, run="training.weight_decay"), Field(ge=0, le=1)
    ] = 0.01
    warmup: Annotated[
        float,
        Option("Fraction of the steps over which the rate rises.", TRAINING, run="training.warmup"),
        Field(ge=0, lt=1),
    ] = 0.1
    max_seq_length: Annotated[
        int,
        Option(
            "Tokens per example.",
            TRAINING,
            shown="128, or what the model reads",
            run="max_seq_length",
        ),
        Field(ge=4, le=8192),
    ] = 128
    max_train_samples: Annotated[
        int | None,
        Option(
            "Train on a random subset of this size.",
            TRAINING,
            shown="all",
            run="training.max_train_samples",
        ),
        Field(ge=1),
    ] = None
    max_eval_samples: Annotated[
        int | None,
        Option(
            "Score a random subset of this size.",
            RUNNING,
            shown="all",
            run="evaluation.max_eval_samples",
        ),
        Field(ge=1),
    ] = None
    device: Annotated[Device, Option("auto, cpu, cuda or mps.", RUNNING)] = "auto"
    precision: Annotated[
        Precision,
        Option(
            "Of training: auto (bf16 where the hardware has it), float32 or bf16.",
            RUNNING,
            run="training.precision",
        ),
    ] = "auto"
    eval_precision: Annotated[
        Precision,
        Option("Of evaluation: float32, bf16 or auto.", RUNNING, run="evaluation.precision"),
    ] = "float32"
    workspace: Annotated[
        Place,
        Option(
            "Where everything is written: a folder, or an address as s3://bucket/w.",
            RUNNING,
            flags=("--workspace", "-w"),
            metavar="DIR|URL",
            envvar="PRUNE_WORKSPACE",
        ),
    ] = "workspace"
    faster: Annotated[
        Factors,
        Option(
            "Cut heads and neurons until the model is so many times as fast as the dense one, as "
            "measured on this machine; several give a model each.",
            PRUNING,
            metavar="X...",
            run="speed.faster",
            place=1,
            later=True,
        ),
    ] = ()
    max_ms: Annotated[
        Durations,
        Option(
            "The same until an answer takes at most so many milliseconds.",
            PRUNING,
            metavar="MS...",
            run="speed.milliseconds",
            place=1,
            later=True,
        ),
    ] = ()
    deployed_as: Annotated[
        str,
        _speed(
            "As what its speed is measured: {deployments}.",
            metavar="NAME",
            completes="deployments",
            run="speed.deployment",
        ),
    ] = "onnx"
    shape: Annotated[
        Shape | None,
        _speed(
            "At what inputs its speed is measured: sequences × tokens.",
            metavar="BxT",
            shown="1 x the model's --max-seq-length",
        ),
    ] = None
    threads: Annotated[
        int | None,
        _speed(
            "With how many threads its speed is measured.",
            metavar="N",
            shown="all cores",
            run="speed.threads",
        ),
        Field(ge=1),
    ] = None
    allocations: Annotated[
        int,
        _speed(
            "Ways to share what goes among the layers that are tried on calibration examples.",
            metavar="N",
            run="speed.allocations",
        ),
        Field(ge=0, le=10_000),
    ] = 16
    keep_models: Annotated[
        Literal["all", "small", "best", "none"],
        Option(
            "Weights of compressed runs: all as stock model/ folders; small, as a mask over the "
            "baseline or packed without loss, from which every command makes the folder again; "
            "best, the same for the best run of each task and level alone; none.",
            RUNNING,
            metavar="all|small|best|none",
            envvar="PRUNE_KEEP_MODELS",
            later=True,
        ),
    ] = "small"
    track: Annotated[
        Trackers,
        Option(
            "Also write training curves, settings and results of each run for tensorboard, mlflow "
            "or wandb, into tracking/ of the workspace; nothing is sent anywhere.",
            RUNNING,
            metavar="NAME...",
            later=True,
        ),
    ] = ()


def reading_of(settings: Settings) -> Reading:
    """How files of data are to be read."""
    said = {key: getattr(settings, key) for key in PARSERS}
    return Reading(**said, large_data=settings.large_data or None)


def cuts(settings: Settings) -> bool:
    """Whether heads or neurons are to be cut out."""
    return any(settings.heads) or any(settings.neurons) or to_a_speed(settings)


def to_a_speed(settings: Settings) -> bool:
    """Whether so many are to be cut out that a speed is reached."""
    return bool(settings.faster or settings.max_ms)


def default(key: str) -> Any:
    """The default of one setting."""
    return Settings.model_fields[key].default

"""The options that commands share: one table, from which each command takes its rows."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from prunecli.cli.console import Console
from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA
from prunecli.core.importance import UNIT_CRITERIA
from prunecli.core.schedule import SCHEDULES
from prunecli.settings.model import Settings, default, load_settings
from prunecli.settings.recipes import DEFAULT_RECIPE, RECIPE_KEYS, STUDY_RECIPE, recipe_names
from prunecli.tasks import TASKS
from prunecli.training.rates import LR_SCHEDULES

WHAT, PRUNING, RECOVERY = "What", "Pruning", "Recovery"
TRAINING, RUNNING = "Training", "Running"
EVIDENCE = "Evidence"


Margin = Annotated[
    float,
    typer.Option(
        "--margin",
        metavar="POINTS",
        help="Differences smaller than this count as equivalent where that can be shown.",
        rich_help_panel=EVIDENCE,
        min=0.0,
        max=100.0,
    ),
]
"""An option of every command that compares."""


@dataclass(frozen=True)
class Invocation:
    """One call of a command: its settings, its voice and the words it was called by."""

    settings: Settings
    console: Console
    command: str

    def job(self) -> Any:
        """The `Job` for a pipeline; makes the workspace folder."""
        from prunecli.models.loading import quiet_transformers
        from prunecli.pipelines.job import Job, with_demo_defaults
        from prunecli.store.workspace import Workspace

        workspace = Workspace(Path(self.settings.workspace)).prepare()
        quiet_transformers()
        return Job(with_demo_defaults(self.settings), workspace, self.command, self.console)


def _shown(key: str) -> str:
    """The default of a setting as the help shows it; empty where there is nothing to show."""
    if key not in Settings.model_fields:
        return ""
    value = default(key)
    if isinstance(value, tuple):
        text = " ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = "" if value is None or value is False else f"{value}"
    if key in RECIPE_KEYS and key != "epochs":
        return f"the recipe's, else {text}" if text else "the recipe's"
    return text


def option(
    kind: Any,
    *flags: str,
    key: str,
    panel: str,
    about: str,
    metavar: str | None = None,
    envvar: str | None = None,
    shown: str | None = None,
) -> Any:
    """An optional flag; ``key`` names the setting whose default its help shows, or ``shown``."""
    shown = _shown(key) if shown is None else shown
    # Defaults belong to Settings: an option that was not given stays None.
    note = f" [default: {shown}]" if shown else ""
    info = typer.Option(
        *flags,
        help=(about + note).replace("[", r"\["),
        rich_help_panel=panel,
        metavar=metavar,
        show_default=False,
        envvar=envvar,
    )
    return Annotated[kind | None, info]


def _names(registry: Any) -> str:
    return ", ".join(registry.names())


_SEVERAL = list[str]

OPTIONS: dict[str, Any] = {
    "task": option(
        _SEVERAL,
        "--task",
        key="task",
        panel=WHAT,
        metavar="NAME...",
        about=f"One or more of {_names(TASKS)}, or a task file (.toml).",
    ),
    "model": option(
        str,
        "--model",
        key="model",
        panel=WHAT,
        metavar="ID|DIR",
        about="Hub id or local folder of an encoder.",
    ),
    "data": option(
        str,
        "--data",
        key="data",
        panel=WHAT,
        metavar="hub|PATH",
        about="hub (nyu-mll/glue), a folder in GLUE's layout or of save_to_disk, or a "
        "CSV/TSV/JSON/JSONL/Parquet file; the texts also as .gz or .zst.",
    ),
    "encoding": option(
        str,
        "--encoding",
        key="encoding",
        panel=WHAT,
        metavar="NAME",
        about="Of text files, as cp1252.",
        shown="by byte-order mark, else utf-8",
    ),
    "delimiter": option(
        str,
        "--delimiter",
        key="delimiter",
        panel=WHAT,
        metavar="CHAR",
        about="Between the fields of CSV and TSV, as ';' or tab.",
        shown="the one that gives the task's columns",
    ),
    "drop_missing": option(
        bool,
        "--drop-missing",
        key="drop_missing",
        panel=WHAT,
        about="Leave out the rows of files that have no label.",
    ),
    "demo": option(
        bool,
        "--demo",
        key="demo",
        panel=WHAT,
        about="Generated data and a tiny model trained from nothing: no network, under a minute.",
    ),
    "strategy": option(
        _SEVERAL,
        "--strategy",
        key="strategy",
        panel=PRUNING,
        metavar="NAME...",
        about=f"How the budget is shared among layers: {_names(ALLOCATIONS)}.",
    ),
    "criterion": option(
        _SEVERAL,
        "--criterion",
        key="criterion",
        panel=PRUNING,
        metavar="NAME...",
        about=f"How weights are ranked: {_names(CRITERIA)}.",
    ),
    "levels": option(
        _SEVERAL,
        "--levels",
        key="levels",
        panel=PRUNING,
        metavar="S...",
        about="Sparsities: 0.5 0.6, or 0.5,0.6, or repeated, or a range 0.5:0.8:0.05.",
    ),
    "pattern": option(
        str,
        "--pattern",
        key="pattern",
        panel=PRUNING,
        metavar="PATTERN",
        about="Which weights go together: unstructured, N:M such as 2:4 (which is a level of its "
        "own), or block:RxC such as block:16x16.",
    ),
    "revive_zeros": option(
        bool,
        "--revive-zeros",
        key="revive_zeros",
        panel=PRUNING,
        about="Let the zeros of a model that is sparse already come back; otherwise they stay and "
        "count towards the level.",
    ),
    "calibration_samples": option(
        int,
        "--calibration-samples",
        key="calibration_samples",
        panel=PRUNING,
        about="Training examples for criteria that learn from data: "
        f"{', '.join(name for name in CRITERIA if CRITERIA.get(name).needs == 'data')}.",
    ),
    "heads": option(
        float,
        "--heads",
        key="heads",
        panel=PRUNING,
        metavar="FRACTION",
        about="Attention heads to cut out of the matrices; the model becomes smaller, not sparse.",
        shown="",
    ),
    "neurons": option(
        float,
        "--neurons",
        key="neurons",
        panel=PRUNING,
        metavar="FRACTION",
        about="Feed-forward neurons to cut out of the matrices.",
        shown="",
    ),
    "unit_criterion": option(
        str,
        "--unit-criterion",
        key="unit_criterion",
        panel=PRUNING,
        metavar="NAME",
        about=f"How heads and neurons are ranked: {_names(UNIT_CRITERIA)}.",
    ),
    "refit": option(
        bool,
        "--refit/--no-refit",
        key="refit",
        panel=PRUNING,
        about="Fit the layers after cut heads and neurons anew, on training examples without "
        "their labels.",
        shown="--refit",
    ),
    "epochs": option(
        float,
        "--epochs",
        key="epochs",
        panel=RECOVERY,
        about="Recovery epochs while and after pruning; 0 is one-shot.",
    ),
    "recover": option(
        bool,
        "--recover",
        key="recover",
        panel=RECOVERY,
        about=f"Short for --recipe {STUDY_RECIPE}, the study's recovery training.",
    ),
    "recipe": option(
        str,
        "--recipe",
        key="recipe",
        panel=RECOVERY,
        metavar="NAME|FILE",
        about=f"Supplies what was not given: {', '.join(recipe_names())}, a file ending in .toml, "
        "or none.",
        shown=f"{DEFAULT_RECIPE} where there are epochs",
    ),
    "chained": option(
        bool,
        "--chained",
        key="chained",
        panel=RECOVERY,
        about="One recovery of --epochs in all that passes every level, lowest first.",
    ),
    "schedule": option(
        str,
        "--schedule",
        key="schedule",
        panel=RECOVERY,
        about=f"How sparsity grows over recovery: {_names(SCHEDULES)}.",
    ),
    "initial_sparsity": option(
        float,
        "--initial-sparsity",
        key="initial_sparsity",
        panel=RECOVERY,
        about="Sparsity at which the schedule starts.",
    ),
    "first_criterion": option(
        str,
        "--first-criterion",
        key="first_criterion",
        panel=RECOVERY,
        metavar="NAME",
        about="Criterion of the first pruning step, or none for the same as of all.",
    ),
    "delay": option(
        str,
        "--delay",
        key="delay",
        panel=RECOVERY,
        metavar="PART",
        about="First fraction of recovery, or epochs as 2ep, before anything is pruned.",
    ),
    "update_every": option(
        str,
        "--update-every",
        key="update_every",
        panel=RECOVERY,
        metavar="STEPS",
        about="Optimiser steps, or epochs as 0.5ep, between two growths of the mask.",
    ),
    "settle": option(
        str,
        "--settle",
        key="settle",
        panel=RECOVERY,
        metavar="PART",
        about="Last fraction of recovery, or epochs as 4ep, during which the mask is fixed.",
    ),
    "recovery_learning_rate": option(
        float,
        "--recovery-learning-rate",
        key="recovery_learning_rate",
        panel=RECOVERY,
        about="Peak learning rate of recovery.",
        shown="the recipe's, else --learning-rate",
    ),
    "lr_schedule": option(
        str,
        "--lr-schedule",
        key="lr_schedule",
        panel=RECOVERY,
        about=f"How the learning rate of recovery falls: {_names(LR_SCHEDULES)}.",
    ),
    "rewind_every": option(
        str,
        "--rewind-every",
        key="rewind_every",
        panel=RECOVERY,
        metavar="EPOCHS",
        about="Epochs, as 2ep, after which the learning rate is at its peak again; or none.",
    ),
    "recovery_dropout": option(
        str,
        "--recovery-dropout",
        key="recovery_dropout",
        panel=RECOVERY,
        metavar="P",
        about="Dropout of recovery, 0 up to 1, or none for the model's own.",
        shown="the recipe's, else the model's",
    ),
    "hardness": option(
        float,
        "--hardness",
        key="hardness",
        panel=RECOVERY,
        about="Distillation: weight of the teacher's answers against the labels, 0 to 1.",
    ),
    "temperature": option(
        float,
        "--temperature",
        key="temperature",
        panel=RECOVERY,
        about="Distillation: by which logits are divided, so that answers are softer.",
    ),
    "hidden_weight": option(
        float,
        "--hidden-weight",
        key="hidden_weight",
        panel=RECOVERY,
        about="Distillation: weight of the distance between hidden states.",
    ),
    "teacher": option(
        str,
        "--teacher",
        key="teacher",
        panel=RECOVERY,
        metavar="RUN|DIR",
        about="Distillation: the classifier to learn from.",
        shown="the baseline itself",
    ),
    "keep": option(
        str,
        "--keep",
        key="keep",
        panel=RECOVERY,
        metavar="last|best",
        about="Weights to keep: the last, or the best at the final sparsity, as scored on training "
        "examples that are held out for it.",
    ),
    "baseline_epochs": option(
        float,
        "--baseline-epochs",
        key="baseline_epochs",
        panel=TRAINING,
        about="Epochs for a baseline that has to be trained first.",
    ),
    "batch_size": option(
        int, "--batch-size", key="batch_size", panel=TRAINING, about="Examples per step."
    ),
    "learning_rate": option(
        float,
        "--learning-rate",
        key="learning_rate",
        panel=TRAINING,
        about="Peak learning rate of AdamW, falling linearly to 0.",
    ),
    "weight_decay": option(
        float, "--weight-decay", key="weight_decay", panel=TRAINING, about="Decay of AdamW."
    ),
    "warmup": option(
        float,
        "--warmup",
        key="warmup",
        panel=TRAINING,
        about="Fraction of the steps over which the rate rises.",
    ),
    "max_seq_length": option(
        int, "--max-seq-length", key="max_seq_length", panel=TRAINING, about="Tokens per example."
    ),
    "max_train_samples": option(
        int,
        "--max-train-samples",
        key="max_train_samples",
        panel=TRAINING,
        about="Train on a random subset of this size.",
        shown="all",
    ),
    "max_eval_samples": option(
        int,
        "--max-eval-samples",
        key="max_eval_samples",
        panel=RUNNING,
        about="Score a random subset of this size.",
        shown="all",
    ),
    "seed": option(
        _SEVERAL,
        "--seed",
        key="seed",
        panel=RUNNING,
        metavar="N...",
        about="One or more seeds; each has its own baseline.",
    ),
    "device": option(str, "--device", key="device", panel=RUNNING, about="auto, cpu, cuda or mps."),
    "precision": option(
        str,
        "--precision",
        key="precision",
        panel=RUNNING,
        about="Of training: auto (bf16 where the hardware has it), float32 or bf16.",
    ),
    "eval_precision": option(
        str,
        "--eval-precision",
        key="eval_precision",
        panel=RUNNING,
        about="Of evaluation: float32, bf16 or auto.",
    ),
    "config": option(
        Path,
        "--config",
        key="config",
        panel=RUNNING,
        metavar="FILE.toml",
        about="The same keys as the flags; a flag wins over the file.",
    ),
    "workspace": option(
        str,
        "--workspace",
        "-w",
        key="workspace",
        panel=RUNNING,
        metavar="DIR",
        about="Where everything is written.",
        envvar="PRUNE_WORKSPACE",
    ),
    "json": option(
        bool, "--json", key="json", panel=RUNNING, about="One JSON document on standard output."
    ),
    "quiet": option(
        bool, "--quiet", "-q", key="quiet", panel=RUNNING, about="No progress, no notices."
    ),
    "verbose": option(
        bool, "--verbose", "-v", key="verbose", panel=RUNNING, about="The traceback of an error."
    ),
}

FROM = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="RUN|DIR",
        help="A baseline run or a classifier's folder to prune, in place of the one described.",
        rich_help_panel=WHAT,
    ),
]

LABELS = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        metavar="NAME,NAME...",
        help="What the outputs of a model folder stand for: the task's label of each, in order. "
        "Needed where its own labels do not say it.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]

DATA = ("data", "encoding", "delimiter", "drop_missing")
SUBJECT = ("task", "model", *DATA, "demo")
METHOD = ("strategy", "criterion", "pattern", "revive_zeros", "calibration_samples")
CUTTING = ("heads", "neurons", "unit_criterion", "refit")
RECOVERING = ("epochs", "recover", "recipe", *RECIPE_KEYS, "teacher")
OPTIMISER = (
    "batch_size",
    "learning_rate",
    "weight_decay",
    "warmup",
    "max_seq_length",
    "max_train_samples",
)
HARDWARE = ("max_eval_samples", "device", "precision", "eval_precision")
VOICE = ("workspace", "json", "quiet", "verbose")


def takes(*names: str, **instead: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options called ``names`` and an `Invocation` made of them.

    ``instead`` replaces or adds rows of the table for this command alone.

    The command's own function keeps its first parameter for the invocation; the rest of its
    parameters stay options or arguments of its own.
    """

    options = {**{name: OPTIONS[name] for name in names}, **instead}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
            )
            for name, annotation in options.items()
        ]

        @functools.wraps(function)
        def command(context: typer.Context, **given: Any) -> Any:
            flags = {name: given.pop(name) for name in options}
            return function(_invocation(flags, context.obj), **given)

        context = inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        parameters = [context, *keywords, *shared]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        del command.__wrapped__  # Typer would look through it
        return command

    return decorate


def _invocation(flags: dict[str, Any], arguments: list[str]) -> Invocation:
    console = Console(
        json=bool(flags.pop("json", None)),
        quiet=bool(flags.pop("quiet", None)),
        verbose=bool(flags.pop("verbose", None)),  # `main` looks for itself: it may err before this
    )
    config = flags.pop("config", None)
    settings = load_settings({k: None if v == [] else v for k, v in flags.items()}, config)
    return Invocation(settings, console, shlex.join(["prune", *arguments]))

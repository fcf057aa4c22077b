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
from prunecli.config import STUDY_RECOVERY_EPOCHS, Settings, default, load_settings
from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA
from prunecli.core.schedule import SCHEDULES
from prunecli.tasks import TASKS

WHAT, PRUNING, TRAINING, RUNNING = "What", "Pruning", "Training", "Running"


@dataclass(frozen=True)
class Invocation:
    """One call of a command: its settings, its voice and the words it was called by."""

    settings: Settings
    console: Console
    command: str

    def job(self) -> Any:
        """The `Job` for a pipeline; makes the workspace folder."""
        from prunecli.models import quiet_transformers
        from prunecli.pipelines.job import Job, with_demo_defaults
        from prunecli.workspace import Workspace

        workspace = Workspace(Path(self.settings.workspace)).prepare()
        quiet_transformers()
        return Job(with_demo_defaults(self.settings), workspace, self.command, self.console)


def _shown(key: str) -> str:
    value = default(key)
    if isinstance(value, tuple):
        return " ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return "all" if value is None else f"{value}"


def option(
    kind: Any,
    *flags: str,
    key: str,
    panel: str,
    about: str,
    metavar: str | None = None,
    envvar: str | None = None,
) -> Any:
    """An optional flag; ``key`` names the setting whose default its help shows."""
    shown = _shown(key) if key in Settings.model_fields else ""
    # Defaults belong to Settings: an option that was not given stays None.
    note = f" [default: {shown}]" if shown not in ("", "False") else ""
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
        about="hub (nyu-mll/glue), a folder in GLUE's layout, or a CSV/TSV/JSONL/Parquet file.",
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
    "epochs": option(
        float,
        "--epochs",
        key="epochs",
        panel=PRUNING,
        about="Recovery epochs while and after pruning; 0 is one-shot.",
    ),
    "recover": option(
        bool,
        "--recover",
        key="recover",
        panel=PRUNING,
        about=f"Short for --epochs {STUDY_RECOVERY_EPOCHS:g}, the study's recovery training.",
    ),
    "schedule": option(
        str,
        "--schedule",
        key="schedule",
        panel=PRUNING,
        about=f"How sparsity grows over recovery: {_names(SCHEDULES)}.",
    ),
    "initial_sparsity": option(
        float,
        "--initial-sparsity",
        key="initial_sparsity",
        panel=PRUNING,
        about="Sparsity at which the schedule starts.",
    ),
    "update_every": option(
        int,
        "--update-every",
        key="update_every",
        panel=PRUNING,
        about="Optimiser steps between two growths of the mask.",
    ),
    "settle": option(
        float,
        "--settle",
        key="settle",
        panel=PRUNING,
        about="Last fraction of recovery during which the mask is fixed.",
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
    ),
    "max_eval_samples": option(
        int,
        "--max-eval-samples",
        key="max_eval_samples",
        panel=RUNNING,
        about="Score a random subset of this size.",
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

GRID = ("task", "model", "data", "demo", "strategy", "criterion", "levels")
RECOVERY = ("epochs", "recover", "schedule", "initial_sparsity", "update_every", "settle")
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
    flags.pop("verbose", None)  # `main` reads it, since an error may come before this
    console = Console(
        json=bool(flags.pop("json", None)),
        quiet=bool(flags.pop("quiet", None)),
    )
    if flags.pop("recover", None) and flags.get("epochs") is None:
        flags["epochs"] = STUDY_RECOVERY_EPOCHS
    config = flags.pop("config", None)
    settings = load_settings({k: None if v == [] else v for k, v in flags.items()}, config)
    return Invocation(settings, console, shlex.join(["prune", *arguments]))

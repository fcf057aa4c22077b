"""The options of the commands, made of what is said on the fields of `Settings`."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer

from prunecli.cli.completion import BASELINES, MADE, completing
from prunecli.cli.console import Console
from prunecli.cli.names import unused_plugins
from prunecli.records.reading import PARSERS
from prunecli.settings.listing import OPTIONS, keys
from prunecli.settings.loading import load_settings
from prunecli.settings.model import Settings, default
from prunecli.settings.option import PANELS, RUNNING, TRAINING, WHAT, Option, flag

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

FROM = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="RUN|DIR|ID",
        help="A baseline run, or a finished classifier as a folder, hub id or artefact, to prune "
        "in place of the one described.",
        rich_help_panel=WHAT,
        autocompletion=completing(BASELINES),
    ),
]

TASK = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="NAME",
        help="The task of a model that is no run, by name or task file; a run knows its own.",
        rich_help_panel=WHAT,
        autocompletion=completing("tasks"),
    ),
]

NAMING = (
    "A run or an artefact by its name, how that begins, or some of its last eight digits; or "
    "@last, @best (the pruned run with the highest score) or @baseline, of one task as @best:sst2"
)

SUBJECT_OF = Annotated[
    str,
    typer.Argument(metavar="RUN", help=f"{NAMING}.", autocompletion=completing(MADE)),
]
"""A run or an artefact that is there."""

TEXT_COLUMNS = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="COLUMN,COLUMN",
        help="The column of texts in --data, or the two that are read together. Needed where no "
        "--task is given and the file does not say it.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]

LABEL_COLUMN = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="COLUMN",
        help="The column of labels in --data. Needed where no --task is given and the file does "
        "not say it.",
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

_VOICE = {
    "config": Option(
        "The same keys as the flags; a flag wins over the file.",
        RUNNING,
        metavar="FILE.toml",
        kind=Path,
    ),
    "json": Option("One JSON document on standard output.", RUNNING, kind=bool),
    "quiet": Option("No progress, no notices.", RUNNING, ("--quiet", "-q"), kind=bool),
    "verbose": Option("The traceback of an error.", RUNNING, ("--verbose", "-v"), kind=bool),
}
"""Options of every command that are no settings."""

SETTINGS = tuple(key for key in keys(lambda _: True) if key != "workspace")
"""All that shape what is done."""
SUBJECT = keys(lambda option: option.panel == WHAT)
DATA = ("data", *PARSERS, "large_data")
CUTTING = keys(
    lambda option: (
        option.needs_cut or option.needs_speed or option.run.startswith(("cut.", "speed."))
    )
)
OPTIMISER = tuple(key for key in keys(lambda o: o.panel == TRAINING) if key != "baseline_epochs")
MAKES = ("track",)
"""Of every command that makes runs."""
HARDWARE = ("max_eval_samples", "device", "precision", "eval_precision")
VOICE = ("workspace", "json", "quiet", "verbose")


@dataclass(frozen=True)
class Invocation:
    """One call of a command: its settings, its voice and the words it was called by."""

    settings: Settings
    console: Console
    words: Sequence[str]

    @property
    def command(self) -> str:
        """The command line, as a shell takes it."""
        return shlex.join(["prune", *self.words])

    def job(
        self,
        *,
        writing: bool = True,
        text: Sequence[str] | None = None,
        label: str | None = None,
    ) -> Any:
        """The `Job` for a pipeline; makes the workspace folder where it is for ``writing``.

        ``text`` and ``label`` are what was said of the columns of the data.
        """
        from prunecli.data.guess import Said
        from prunecli.models.loading import quiet_transformers
        from prunecli.pipelines.job import Job, with_demo_defaults
        from prunecli.store.opening import workspace_at
        from prunecli.tracking.tracking import Asked, Tracking, check_trackers

        check_trackers(self.settings.track)
        columns = Said.of(text, label)
        workspace = workspace_at(self.settings.workspace, self.console.notice)
        tracked = Asked.of(self.settings.track, workspace.tracking_dir, self.command)
        if writing:
            workspace.prepare()
        quiet_transformers()
        return Job(
            with_demo_defaults(self.settings),
            workspace,
            self.command,
            self.console,
            columns=columns,
            tracking=Tracking(tracked, self.console.notice),
        )


def takes(*names: str, **instead: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options called ``names`` and an `Invocation` made of them.

    ``instead`` has options that are `varied` for this command alone; one that is not in ``names``
    comes after them.

    The command's own function keeps its first parameter for the invocation; the rest of its
    parameters stay options or arguments of its own.
    """
    plain = {name: _row(name, _VOICE.get(name) or OPTIONS[name]) for name in names}
    options = {**plain, **instead}  # one that is in both keeps its place

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
        parameters = [context, *sorted([*keywords, *shared], key=_panel_place)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        del command.__wrapped__  # Typer would look through it
        return command

    return decorate


def _panel_place(parameter: inspect.Parameter) -> float:
    """So that panels come in the order of `PANELS`, others after the first, arguments first."""
    panels = [getattr(one, "rich_help_panel", None) for one in get_args(parameter.annotation)[1:]]
    panel = next((one for one in panels if isinstance(one, str)), None)
    if panel is None:
        return -1.0
    return float(PANELS.index(panel)) if panel in PANELS else 0.5


def varied(key: str, **changes: Any) -> Any:
    """The option of the setting ``key`` with ``changes`` of what `Option` says of it."""
    return _row(key, replace(OPTIONS[key], **changes))


def _row(key: str, option: Option) -> Any:
    shown = _shown(key, option) if option.shown is None else option.shown
    note = f" [default: {shown}]" if shown else ""
    # Defaults belong to Settings: an option that was not given stays None.
    info = typer.Option(
        *(option.flags or (flag(key),)),
        help=(option.about + note).replace("[", r"\["),
        rich_help_panel=option.panel,
        metavar=option.metavar,
        show_default=False,
        envvar=option.envvar,
        autocompletion=completing(option.completes) if option.completes else None,
    )
    return Annotated[(option.kind or _kind(key)) | None, info]


def _kind(key: str) -> Any:
    """What the command line takes for a setting.

    Anything but a plain number or truth value is text, which `Settings` reads.
    """
    annotation = Settings.model_fields[key].annotation
    if get_origin(annotation) is tuple:
        return list[str]
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 and kinds[0] in (bool, int, float) else str


def _shown(key: str, option: Option) -> str:
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
    if option.recipe:
        return f"the recipe's, else {text}" if text else "the recipe's"
    return text


def _invocation(flags: dict[str, Any], arguments: list[str]) -> Invocation:
    console = Console(
        json=bool(flags.pop("json", None)),
        quiet=bool(flags.pop("quiet", None)),
        verbose=bool(flags.pop("verbose", None)),  # `main` looks for itself: it may err before this
    )
    for line in unused_plugins():
        console.notice(line)
    config = flags.pop("config", None)
    settings = load_settings({k: None if v == [] else v for k, v in flags.items()}, config)
    return Invocation(settings, console, arguments)

"""The commands, in the order in which a person meets them."""

from __future__ import annotations

import typer

from prunecli import __version__
from prunecli.cli import (
    bench,
    compare,
    compress,
    doctor,
    evaluate,
    export,
    prune,
    recipes,
    report,
    runs,
    sweep,
    train_baseline,
)
from prunecli.cli.names import NamingCommand
from prunecli.cli.parsing import SeveralValuesCommand
from prunecli.errors import EXIT_CODES

app = typer.Typer(
    name="prune",
    help="Prune Hugging Face text classifiers, and know exactly what it cost.",
    epilog="\n\n".join(
        [
            "Start here: prune compress --demo; then prune compress MODEL --data FILE",
            "Exit codes: " + " · ".join(f"{code}: {what}" for code, what in EXIT_CODES.items()),
        ]
    ),
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prune {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    if context.invoked_subcommand is not None:
        return
    from prunecli.cli.standing import where_things_stand

    if not where_things_stand():
        typer.echo(context.get_help())
        raise typer.Exit(2)


for name, module in (
    ("compress", compress),
    ("train-baseline", train_baseline),
    ("prune", prune),
    ("evaluate", evaluate),
    ("sweep", sweep),
    ("compare", compare),
    ("report", report),
    ("export", export),
    ("bench", bench),
):
    several = SeveralValuesCommand if name not in ("evaluate", "export") else NamingCommand
    app.command(name, cls=several, epilog=f"Example: {module.EXAMPLE}")(module.command)
app.command("recipes", epilog=f"Example: {recipes.EXAMPLE}")(recipes.command)
app.add_typer(runs.app, name="runs")
app.command("doctor", epilog=f"Example: {doctor.EXAMPLE}")(doctor.command)

"""Help: every command has it, with an example, and it loads nothing heavy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import typer.main
from calling import Called

from prunecli import __version__
from prunecli.cli.app import app
from prunecli.settings.model import Settings

Prune = Callable[..., Called]

HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "pandas",
    "matplotlib",
    "sklearn",
    "scipy",
    "pyarrow",
    "tokenizers",
}


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command, groups and their members included."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        yield (name,)
        yield from ((name, member) for member in getattr(command, "commands", ()))


COMMANDS = sorted(commands())


def test_the_commands_of_the_contract_are_there() -> None:
    six = ["train-baseline", "prune", "evaluate", "sweep", "compare", "report"]
    assert {(name,) for name in [*six, "export", "recipes", "runs", "doctor"]} <= set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_an_example(prune: Prune, words: tuple[str, ...], flag: str) -> None:
    done = prune(*words, flag)
    assert done.code == 0
    assert f"Example: prune {words[0]}" in " ".join(done.out.split())
    assert done.err == ""
    assert "\x1b" not in done.out
    assert not re.search(r"\{[a-z]", done.out)  # names that were to be filled in


def test_help_of_the_whole(prune: Prune) -> None:
    done = prune("--help")
    assert done.code == 0
    for words in COMMANDS:
        assert words[0] in done.out
    assert prune().code == 2  # nothing was asked for


def test_version(prune: Prune) -> None:
    assert prune("--version").out == f"prune {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    """In a process of its own: this one has everything loaded."""
    program = f"""
import contextlib, io, json, sys
from prunecli.cli import main
for words in {[[], *map(list, COMMANDS)]!r}:
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*words, "--help"]) == 0, words
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert HEAVY & set(json.loads(done.stdout)) == set()


def test_python_dash_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prunecli", "--version"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, f"prune {__version__}\n")


# Options of the contract

EVERYWHERE = ["--workspace", "-w", "--json", "--quiet", "-q", "--verbose", "-v"]
INPUTS = ["--task", "--data", "--demo", "--max-seq-length", "--max-eval-samples"]
INPUTS += ["--encoding", "--delimiter", "--drop-missing", "--large-data"]
MACHINE = ["--device", "--precision", "--config"]
TRAINING = ["--model", "--batch-size", "--learning-rate", "--seed", "--max-train-samples"]
PRUNING = ["--strategy", "--criterion", "--levels", "--schedule", "--initial-sparsity"]
PRUNING += ["--pattern", "--calibration-samples", "--recipe", "--recover", "--teacher"]
GATE = ["--max-drop", "--confidence", "--format"]
OPTIONS = {
    "train-baseline": [*INPUTS, *MACHINE, *TRAINING, "--epochs"],
    "prune": [*INPUTS, *MACHINE, *TRAINING, *PRUNING, "--epochs", "--from", *GATE],
    "sweep": [*INPUTS, *MACHINE, *TRAINING, *PRUNING, "--epochs", *GATE],
    "evaluate": [*INPUTS, *MACHINE, "--fail-under", "--format"],
    "bench": ["--min-speedup", "--format"],
    "export": [
        *["--format", "--values", "--embeddings", "--group", "--zstd", "--max-difference"],
        *["--keep", "--vocabulary", "--vocabulary-texts"],
        *["--int8", "--static", "--calibration-samples"],
    ],
    "compare": ["--task", "--by", "--levels", "--margin", "--expect", "--format"],
    "report": ["--task", "--format", "--max-drop", "--confidence", "--select-on", "--figures-only"],
}


@pytest.mark.parametrize(
    ("command", "option"),
    [(name, option) for name, own in OPTIONS.items() for option in [*own, *EVERYWHERE]],
)
def test_option_of_the_contract(command: str, option: str) -> None:
    found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    assert option in {flag for parameter in found.params for flag in parameter.opts}


@pytest.mark.parametrize("command", ["prune", "sweep"])
def test_every_setting_has_an_option(command: str) -> None:
    """But for the one that makes a grid a chain, which one level cannot be."""
    found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    missing = set(Settings.model_fields) - {parameter.name for parameter in found.params}
    assert missing == ({"chained"} if command == "prune" else set())


def test_recovery_has_a_panel_of_its_own(prune: Prune) -> None:
    shown = prune("sweep", "--help").out
    panels = [line.split()[1] for line in shown.splitlines() if line.startswith("╭─ ")]
    assert panels == ["Options", "What", "Pruning", "Recovery", "Training", "Running"]
    assert "the recipe's, else polynomial" in " ".join(shown.replace("│", " ").split())

"""CONTRIBUTING is true: each row of its table is done, in as many places as it says, and offered.

All of it is written into one copy of the package, whose command line one process asks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import prunecli

PACKAGE = Path(prunecli.__file__).parent
TABLE = PACKAGE.parent / "CONTRIBUTING.md"


@dataclass(frozen=True)
class Place:
    """One file and what is written there: all of a new one, or lines in one that exists."""

    file: str
    text: str
    after: str | None = None
    """The line of the file that stands before; ``None`` is its end."""

    def write(self, package: Path) -> None:
        path = package / self.file
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if self.after is None:
            path.write_text(old + self.text, encoding="utf-8")
            return
        assert old.count(self.after) == 1
        path.write_text(old.replace(self.after, self.after + self.text), encoding="utf-8")


@dataclass(frozen=True)
class Addition:
    """One row done, and where the command line then has it."""

    places: tuple[Place, ...]
    asked: str
    seen: str


CRITERION = """
from prunecli.core.criteria.base import CRITERIA
from prunecli.core.criteria.magnitude import Magnitude

@CRITERIA.register("fresh-criterion")
class Fresh(Magnitude):
    pass
"""
UNITS = """
class Fresh(UnitMagnitude):
    pass

UNIT_CRITERIA.register("fresh-units")(Fresh())
"""
TASK = """
_add(Task("fresh-task", "Fresh", "single sentence", ("text",), ("a", "b"), ("accuracy",), _DEV))
"""
REPORT = """
from prunecli.reporting.shown.formats import FORMATS

@FORMATS.register("fresh-report")
def render_fresh(report):
    return ""
"""
EXPORT = """
from prunecli.pipelines.exports.folder import Folder

class Fresh(Folder):
    about = "a fresh form"
    runtime = "fresh-runtime"
"""
RUNTIME = """
from prunecli.runtimes.pytorch import PyTorch

class Fresh(PyTorch):
    pass
"""
OPTION = """
    fresh_option: Annotated[int, Option("A fresh help.", RUNNING)] = 7
"""
RECOVERY_OPTION = """
    fresh_part: Annotated[int, _recovery("A fresh part.", run="recovery.fresh_part")] = 7
"""
IN_SETTINGS = '    """``None`` is ``learning_rate``, which alone selects the baseline."""\n'
IN_TRAINING = '    """Probability of every dropout; ``None`` is what the model came with."""\n'
COMMAND = """
from prunecli.cli.options import VOICE, Invocation, takes

EXAMPLE = "prune fresh"

@takes(*VOICE)
def command(call: Invocation) -> int:
    \"\"\"Do a fresh thing.\"\"\"
    return 0
"""
ADDITIONS = {
    "a criterion": Addition(
        (
            Place("core/criteria/fresh.py", CRITERION),
            Place("core/criteria/__init__.py", "    fresh,\n", after="    movement,\n"),
        ),
        "sweep --help",
        "movement, soft-movement, fresh-criterion",
    ),
    "a criterion for heads and neurons": Addition(
        (Place("core/importance.py", UNITS),), "prune --help", "fresh-units"
    ),
    "an allocation": Addition(
        (Place("core/allocation.py", '\nALLOCATIONS.register("fresh-share")(one_pool)\n'),),
        "sweep --help",
        "global, layerwise, fresh-share",
    ),
    "a schedule": Addition(
        (Place("core/schedule.py", '\nSCHEDULES.register("fresh-growth")(linear)\n'),),
        "sweep --help",
        "polynomial, fresh-growth",
    ),
    "a learning-rate schedule": Addition(
        (Place("training/rates.py", '\nLR_SCHEDULES.register("fresh-rate")(linear)\n'),),
        "sweep --help",
        "constant, fresh-rate",
    ),
    "a recipe": Addition(
        (Place("settings/recipes/fresh.toml", 'title = "Fresh"\nepochs = 2\nfresh-part = 8\n'),),
        "recipes --json",
        '"fresh_part": 8',
    ),
    "a task": Addition((Place("tasks.py", TASK),), "sweep --help", "stsb, fresh-task"),
    "a report format": Addition(
        (
            Place("reporting/shown/fresh.py", REPORT),
            Place("reporting/writing.py", "    fresh,\n", after="    csv,\n"),
        ),
        "report --help",
        "fresh-report",
    ),
    "an export format": Addition(
        (
            Place("pipelines/exports/fresh.py", EXPORT),
            Place(
                "pipelines/exports/__init__.py",
                "\nfrom prunecli.pipelines.exports import fresh\n"
                'EXPORTS.register("fresh-export")(fresh.Fresh())\n',
            ),
        ),
        "export --help",
        "fresh-export: a fresh form.",
    ),
    "a runtime": Addition(
        (
            Place("runtimes/fresh.py", RUNTIME),
            Place(
                "runtimes/__init__.py",
                "\nfrom prunecli.runtimes import fresh\n"
                'RUNTIMES.register("fresh-runtime")(fresh.Fresh())\n',
            ),
        ),
        "the runtime of fresh-export",
        "fresh-runtime",
    ),
    "an option": Addition(
        (Place("settings/model.py", OPTION, after=IN_SETTINGS),),
        "sweep --help",
        "--fresh-option <int> A fresh help. [default: 7]",
    ),
    "an option that shapes a run": Addition(
        (
            Place("settings/model.py", RECOVERY_OPTION, after=IN_SETTINGS),
            Place("records/runs.py", "    fresh_part: int = 7\n", after=IN_TRAINING),
        ),
        "--fresh-part 9 in a run",
        "9",
    ),
    "a command": Addition(
        (
            Place("cli/fresh.py", COMMAND),
            Place(
                "cli/app.py",
                "\nfrom prunecli.cli import fresh\n"
                'app.command("fresh", epilog=fresh.EXAMPLE)(fresh.command)\n',
            ),
        ),
        "--help",
        "Do a fresh thing.",
    ),
}
PROGRAM = """
import contextlib, io, json, sys
from prunecli.cli import main

said = {}
for words in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(words.split()) == 0, words
    said[words] = " ".join(out.getvalue().replace("│", " ").split())

from prunecli.pipelines.exports import EXPORTS
from prunecli.records.runs import TrainingSpec
from prunecli.runtimes import RUNTIMES
from prunecli.settings.listing import part_of_run
from prunecli.settings.loading import load_settings

RUNTIMES.get(EXPORTS.get("fresh-export").runtime)
said["the runtime of fresh-export"] = " ".join(RUNTIMES)
given = part_of_run(load_settings({"fresh_part": 9, "epochs": 1}), "recovery")
said["--fresh-part 9 in a run"] = str(TrainingSpec().model_copy(update=given).fresh_part)
print(json.dumps(said))
"""


def rows() -> Iterator[tuple[str, int]]:
    """What the table is about, and in how many places it says that it is written."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        found = re.match(r"\| (an? [^|]+?) \| (\d) \|", line)
        if found:
            yield found[1], int(found[2])


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the command line with all additions answers to what is asked for them."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, root / "prunecli")
    for addition in ADDITIONS.values():
        for place in addition.places:
            place.write(root / "prunecli")
    asked = {one.asked for one in ADDITIONS.values() if one.asked.endswith(("help", "json"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(sorted(asked))],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("what", ADDITIONS)
def test_an_addition_is_offered(what: str, said: dict[str, str]) -> None:
    addition = ADDITIONS[what]
    assert addition.seen in said[addition.asked]


def test_the_table_says_in_how_many_places() -> None:
    assert dict(rows()) == {what: len(one.places) for what, one in ADDITIONS.items()}

"""What a shell completes, asked as bash asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from prunecli.cli.bashwords import join_at_signs
from prunecli.store.workspace import Workspace

from .test_help import HEAVY

PROGRAM = """
import contextlib, io, json, os, sys
from prunecli.cli import main
found = []
for words in json.loads(sys.argv[1]):
    os.environ |= {
        "_PRUNE_COMPLETE": "complete_bash",
        "COMP_WORDS": chr(10).join(["prune", *words]),
        "COMP_CWORD": str(len(words)),
    }
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main([])
    found.append(shown.getvalue().split())
print(json.dumps([found, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def completed(*lines: list[str], workspace: Workspace) -> list[list[str]]:
    """What bash is offered for the last word of each line, in one process; nothing heavy in it."""
    program = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    env = {**os.environ, "PRUNE_WORKSPACE": str(workspace.root)}
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=120, env=env)
    found, modules = json.loads(done.stdout)
    assert HEAVY & set(modules) == set()
    return list(found)


@pytest.fixture(scope="module")
def offered(swept: Workspace) -> dict[str, list[str]]:
    lines = [
        "sweep --task ss",
        "sweep --task sst2 qq",
        "sweep --criterion magnitude wan",
        "sweep --strategy lay",
        "sweep --recipe f",
        "sweep --levels 0.5 --sched",
        "sweep --deployed-as openvino-i",
        "recipes ob",
        "report --format cs",
        "evaluate sst2-glo",
        "evaluate @",
        "evaluate @ b",
        "export @ best --format pa",
        "bench @ last @ ba",
        "export sst2-b",
        "prune --from sst2-",
        "bench --against @",
        "runs show sst2-layerwise-magnitude-8",
        "evaluate -w /nowhere sst2",
        f"evaluate -w file : //{swept.root} @ l",  # as bash takes that apart
    ]
    found = completed(*(line.split() for line in lines), workspace=swept)
    return dict(zip(lines, found, strict=True))


def test_names_are_completed(offered: dict[str, list[str]], swept: Workspace) -> None:
    names = swept.names()
    baseline = [name for name in names if "-baseline-" in name]
    assert offered == {
        "sweep --task ss": ["sst2"],
        "sweep --task sst2 qq": ["qqp"],
        "sweep --criterion magnitude wan": ["wanda"],
        "sweep --strategy lay": ["layerwise"],
        "sweep --recipe f": ["fast"],
        "sweep --levels 0.5 --sched": ["--schedule"],
        "sweep --deployed-as openvino-i": ["openvino-int8"],
        "recipes ob": ["obert"],
        "report --format cs": ["csv"],
        "evaluate sst2-glo": [name for name in names if "-global-" in name],
        "evaluate @": ["@last", "@best", "@baseline"],
        "evaluate @ b": ["@best", "@baseline"],  # as bash takes it apart
        "export @ best --format pa": ["packed"],
        "bench @ last @ ba": ["@baseline"],
        "export sst2-b": baseline,
        "prune --from sst2-": baseline,
        "bench --against @": ["@baseline"],
        "runs show sst2-layerwise-magnitude-8": [
            n for n in names if "-layerwise-" in n and "-80-" in n
        ],
        "evaluate -w /nowhere sst2": [],
        f"evaluate -w file : //{swept.root} @ l": ["@last"],
    }


@pytest.mark.parametrize("place", ["", "one", None])
def test_a_place_that_is_no_number_is_the_first(place: str | None) -> None:
    given = {"_PRUNE_COMPLETE": "complete_bash", "COMP_WORDS": "prune\nsw"}
    environ = given if place is None else {**given, "COMP_CWORD": place}
    join_at_signs(environ)
    assert environ["COMP_CWORD"] == "0"
    assert environ["COMP_WORDS"] == "prune\nsw"

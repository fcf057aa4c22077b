"""Every command line that README, the docs and the examples show is one that `prune` takes."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from prunecli.cli.app import app

ROOT = Path(__file__).parents[1]
ENDS = {"&&", "||", "|", ";", ">", ">>", "2>", "<", "then", "then:"}


def blocks(path: Path) -> Iterator[str]:
    """The shell in a file: all of a script, the fenced blocks of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sh":
        yield text
        return
    for language, body in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL):
        if language in ("", "sh", "bash", "console"):
            yield body


def commands() -> Iterator[tuple[str, tuple[str, ...]]]:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    pages.remove(ROOT / "docs" / "commands.md")  # it names arguments, and is written by the code
    for path in [*pages, *sorted((ROOT / "examples").rglob("*.sh"))]:
        for body in blocks(path):
            for line in body.replace("\\\n", " ").splitlines():
                for words in _commands(line):
                    yield str(path.relative_to(ROOT)), tuple(words)


def _commands(line: str) -> Iterator[list[str]]:
    """Each call of `prune` in a line."""
    line = line.strip().removeprefix("$ ").replace("--json)", "--json")
    line = re.sub(r'"\$(@|\{\w+\[@\]\})"', "", line)  # as many words as there are
    line = re.sub(r'"?\$\{?\w+[^}"\s]*\}?"?', "X", line)
    line = re.sub(r"^(\w+=)?\$?\(?\s*(?=prune )", "", line)
    if not line.startswith("prune "):
        return
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # words of output, with an apostrophe
        return
    own: list[str] = []
    for word in words:
        if word in ENDS:
            yield own
            own = []
        else:
            own.append(word)
    yield own


ALL = sorted(set(commands()))


def test_there_are_many() -> None:
    assert len(ALL) > 60


@pytest.mark.parametrize(("place", "words"), ALL, ids=lambda value: str(value)[-70:])
def test_it_is_taken(place: str, words: tuple[str, ...]) -> None:
    if words[:1] != ("prune",) or len(words) < 2 or "…" in " ".join(words):
        pytest.skip("no whole command line")
    command: Any = typer.main.get_command(app)
    arguments = list(words[1:])
    while getattr(command, "commands", None):
        if arguments and arguments[0].startswith("-"):
            return  # --version, --help
        name = arguments.pop(0)
        assert name in command.commands, (place, words)
        command = command.commands[name]
    with command.make_context(command.name, arguments, resilient_parsing=False):
        pass


def test_the_reference_is_what_the_code_says() -> None:
    """Where it is not: python docs/commands.py."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written.splitlines() == list(reference.lines_of(reference.page()))

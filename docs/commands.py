"""Writes docs/commands.md, the reference of the command line, from the code: run it after a change.

python docs/commands.py            # a test fails while the page is not what this writes
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from prunecli.cli import names
from prunecli.cli.app import app

PAGE = Path(__file__).with_suffix(".md")
HEAD = """# Commands

What `prune COMMAND --help` says, written from the code by `python docs/commands.py`.
"""


def page() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    parts = [HEAD]
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        for full, one in (
            {f"{name} {sub}": each for sub, each in inner.items()} if inner else {name: command}
        ).items():
            parts.append(_command(full, one))
    return "\n".join(parts)


def _command(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    shown = " ".join(_plain(one.metavar or one.name.upper()) for one in arguments)
    lines = [f"## prune {name}", "", _text(command.help or ""), ""]
    lines += ["```", f"prune {name} {shown} [OPTIONS]".replace("  ", " "), "```", ""]
    if command.epilog:
        lines += [_text(command.epilog), ""]
    for one in arguments:
        if one.help:
            lines += [f"`{_plain(one.metavar or one.name.upper())}`: {_text(one.help)}", ""]
    panels: dict[str, list[Any]] = {}
    for one in command.params:
        if one.param_type_name == "option" and not one.hidden:
            panels.setdefault(one.rich_help_panel or "Options", []).append(one)
    for panel, options in panels.items():
        lines += [f"| {panel} | |", "|---|---|", *(_option(one) for one in options), ""]
    return "\n".join(lines)


def _option(one: Any) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*one.opts, *one.secondary_opts))
    meta = f" {_cell(_plain(one.metavar))}" if one.metavar else ""
    return f"| {flags}{meta} | {_cell(_text(one.help or ''))} |"


def _text(text: str) -> str:
    filled = re.sub(r"\{([a-z_]+)\}", lambda found: names._found(found), text)
    return " ".join(_plain(filled).split())


def _plain(text: str) -> str:
    """Without the escapes of the terminal's markup."""
    return text.replace(r"\[", "[").replace(r"\\", "")


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*").replace("<", "&lt;")


def lines_of(text: str) -> Iterator[str]:
    """Without spaces at the ends of lines."""
    yield from (line.rstrip() for line in text.splitlines())


def main() -> None:
    PAGE.write_text("\n".join(lines_of(page())) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Options that take several values: space-separated, comma-separated or repeated."""

from __future__ import annotations

from typing import Any

from prunecli.cli.names import NamingCommand


class SeveralValuesCommand(NamingCommand):
    """A command whose positional arguments, if any, come first: ``--levels 0.5 0.6`` is clear.

    The words after an option that may be repeated are given the option again, up to the next
    option; the parser below then sees ``--levels 0.5 --levels 0.6``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        several = {
            flag
            for parameter in self.params
            if getattr(parameter, "multiple", False)
            for flag in parameter.opts
        }
        return super().parse_args(ctx, repeat_options(args, several))


def repeat_options(args: list[str], several: set[str]) -> list[str]:
    """``["--x", "1", "2"]`` as ``["--x", "1", "--x", "2"]`` for each ``--x`` in ``several``."""
    rewritten: list[str] = []
    current: str | None = None
    for i, word in enumerate(args):
        if word == "--":
            return rewritten + args[i:]
        if _is_option(word):
            flag, equals, _ = word.partition("=")
            current = flag if flag in several else None
            if current is None or equals or i + 1 == len(args) or _is_option(args[i + 1]):
                rewritten.append(word)
        elif current is not None:
            rewritten += [current, word]
        else:
            rewritten.append(word)
    return rewritten


def _is_option(word: str) -> bool:
    """Whether ``word`` is a flag, and not a value such as ``-`` or ``-0.5``."""
    if not word.startswith("-") or word == "-":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False

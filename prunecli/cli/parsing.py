"""Options that take several values: space-separated, comma-separated or repeated."""

from __future__ import annotations

from typing import Any

from prunecli.cli.names import NamingCommand

_WORDS = "prunecli.words"
"""Where a context keeps the words that a command was given."""


class SeveralValuesCommand(NamingCommand):
    """A command whose positional arguments, if any, come first: ``--levels 0.5 0.6`` is clear.

    The words after an option that may be repeated are given the option again, up to the next
    option; the parser below then sees ``--levels 0.5 --levels 0.6``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = list(args)
        return super().parse_args(ctx, repeat_options(args, set(self._several())))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """A second value of an option is completed as its first is."""
        last = next((word for word in reversed(ctx.meta.get(_WORDS, ())) if _is_option(word)), "")
        parameter = self._several().get(last)
        if parameter is None or _is_option(incomplete):
            return super().shell_complete(ctx, incomplete)
        found: list[Any] = parameter.shell_complete(ctx, incomplete)
        return found

    def _several(self) -> dict[str, Any]:
        """The parameters that may be repeated, by their flags."""
        return {
            flag: parameter
            for parameter in self.params
            if getattr(parameter, "multiple", False)
            for flag in parameter.opts
        }


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

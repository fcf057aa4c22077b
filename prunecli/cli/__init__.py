"""The command line: parse, call a pipeline, show. `main` turns every error into an exit code."""

from __future__ import annotations

import os
import sys
import traceback

from prunecli.errors import PruneError, StoppedError, UsageError, as_told

INTERRUPTED = StoppedError.exit_code


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; the entry point of ``prune``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    verbose = bool({"-v", "--verbose"} & set(arguments))
    import typer
    from typer.exceptions import TyperException

    from prunecli.cli.app import app

    try:
        code = app(args=arguments, prog_name="prune", standalone_mode=False, obj=list(arguments))
        sys.stdout.flush()
    except TyperException as error:
        if not _message(error):  # no arguments at all: the help has been printed
            return 2
        wrong = UsageError(_message(error), hint=_usage_hint(error))
        wrong.trace = "".join(traceback.format_exception(error))
        return _complain(wrong, verbose)
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`prune report | head`): say nothing, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _complain(as_told(error), verbose)
    if code == INTERRUPTED:  # Typer turns Ctrl-C into this code
        hint = "what was finished is kept; the same command goes on from there"
        return _complain(StoppedError("interrupted", hint=hint), verbose)
    return code if isinstance(code, int) else 0


def _complain(error: PruneError, verbose: bool) -> int:
    """One or two lines on standard error; the traceback only when it was asked for."""
    if verbose:
        sys.stderr.write(error.trace)
    sys.stderr.write(f"prune: {_one_line(str(error))}\n")
    if error.hint:
        sys.stderr.write(f"       {_one_line(error.hint)}\n")
    return error.exit_code


def _one_line(text: str) -> str:
    """Without line breaks and control characters that a file or a name may have brought along."""
    text = " ".join(text.split())
    return "".join(c if c.isprintable() else "�" for c in text)


def _message(error: Exception) -> str:
    formatted = getattr(error, "format_message", None)
    return str(formatted() if formatted else error)


def _usage_hint(error: Exception) -> str | None:
    context = getattr(error, "ctx", None)
    return f"see: {context.command_path} --help" if context is not None else None

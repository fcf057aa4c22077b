"""The command line: parse, call a pipeline, show. `main` turns every error into an exit code."""

from __future__ import annotations

import os
import sys
import traceback

from prunecli.errors import PruneError

INTERRUPTED = 130


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
        return _complain(_message(error), _usage_hint(error), 2, verbose)
    except PruneError as error:
        return _complain(str(error), error.hint, error.exit_code, verbose)
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`prune report | head`): say nothing, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _complain("out of memory", "try a smaller --batch-size", 3, verbose)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which is not imported here
            raise
        return _complain("out of device memory", "try a smaller --batch-size", 3, verbose)
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        return _complain(f"{error.strerror or error}{name}", None, 3, verbose)
    if code == INTERRUPTED:  # Typer turns Ctrl-C into this code
        hint = "what was finished is kept; the same command goes on from there"
        return _complain("interrupted", hint, INTERRUPTED, verbose)
    return code if isinstance(code, int) else 0


def _complain(message: str, hint: str | None, code: int, verbose: bool) -> int:
    """One or two lines on standard error; the traceback only when it was asked for."""
    if verbose:
        traceback.print_exc(file=sys.stderr)
    sys.stderr.write(f"prune: {_one_line(message)}\n")
    if hint:
        sys.stderr.write(f"       {_one_line(hint)}\n")
    return code


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

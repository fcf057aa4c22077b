"""The command line: parse, call a pipeline, show. `main` turns every error into an exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback

from prunecli.cli.bashwords import join_at_signs
from prunecli.cli.streams import usable_streams
from prunecli.errors import PruneError, StoppedError, UsageError, as_told
from prunecli.machine import ranks
from prunecli.text.terminal import visible


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; the entry point of ``prune``."""
    program = arguments is None
    join_at_signs()
    arguments = sys.argv[1:] if arguments is None else arguments
    verbose = bool({"-v", "--verbose"} & set(arguments))
    with usable_streams():
        if program and ranks.size() > 1:
            os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # each would warn of its own
        follows = program and ranks.place() > 0
        try:
            code = _follow() if follows else _run(arguments, verbose)
        except KeyboardInterrupt:
            if program:  # which ends now: whoever presses again asks for nothing more
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            told = _interrupted()
            code = told.exit_code if follows else _complain(told, verbose)
    if program:
        ranks.say_end(code)
    return code


def _follow() -> int:
    """What a process does that ``torchrun`` started beside the first: it says nothing."""
    from prunecli.pipelines.following import follow

    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries print of their own
        os.dup2(null, stream)
    return follow()


def _run(arguments: list[str], verbose: bool) -> int:
    import typer
    from typer.exceptions import TyperException

    try:
        from prunecli.cli.app import app

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
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:  # of a stream that is none of ours
        return 0
    except Exception as error:
        return _complain(as_told(error), verbose)
    if code == StoppedError.exit_code:  # Typer turns Ctrl-C into this code
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _interrupted() -> StoppedError:
    hint = "what was finished is kept; the same command goes on from there"
    return StoppedError("interrupted", hint=hint)


def _complain(error: PruneError, verbose: bool) -> int:
    """One or two lines on standard error; the traceback only when it was asked for."""
    if verbose:
        sys.stderr.write(visible(error.trace))
    sys.stderr.write(f"prune: {_one_line(str(error))}\n")
    if error.hint:
        sys.stderr.write(f"       {_one_line(error.hint)}\n")
    return error.exit_code


def _one_line(text: str) -> str:
    """Without line breaks and what else a file or a name may have brought along."""
    return visible(" ".join(text.split()))


def _message(error: Exception) -> str:
    formatted = getattr(error, "format_message", None)
    return str(formatted() if formatted else error)


def _usage_hint(error: Exception) -> str | None:
    context = getattr(error, "ctx", None)
    return f"see: {context.command_path} --help" if context is not None else None

"""A process with one model that answers when it is told to and says how long each call took.

Its own process, so that the threads of one runtime cannot disturb another's, and so that memory and
start are its own. Started by `prunecli.bench.process`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TextIO

from prunecli.bench.protocol import (
    FIRST_BATCH,
    FIRST_TOKENS,
    Calls,
    Failed,
    Kind,
    Model,
    Ready,
    Reply,
    Times,
)
from prunecli.errors import PruneError


def serve() -> int:
    """Work on the standard streams, for the model that the one argument says."""
    # Replies have the standard output to themselves: what libraries print goes to the errors.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return work(sys.argv[1], sys.stdin, replies)


def work(argument: str, stdin: TextIO, stdout: TextIO) -> int:
    """Open the model, answer once, then answer calls until the input ends."""

    def say(kind: Kind, message: Reply) -> None:
        stdout.write(f'{{"{kind}": {message.model_dump_json()}}}\n')
        stdout.flush()

    wanted = Model.model_validate_json(argument)
    if wanted.cores:
        os.sched_setaffinity(0, wanted.cores)
    try:
        from prunecli.runtimes import RUNTIMES

        runtime = RUNTIMES.get(wanted.runtime)
        answer = runtime.open(Path(wanted.path), threads=wanted.threads)
        first = answer(wanted.made_up(FIRST_BATCH, FIRST_TOKENS))
        say("ready", Ready(version=runtime.version(), answer=tuple(first.ravel().tolist())))
        clock = time.process_time_ns if wanted.processor_time else time.perf_counter_ns
        for line in stdin:
            calls = Calls.model_validate_json(line)
            inputs = wanted.made_up(calls.batch, calls.tokens)
            spent: list[int] = []
            end = time.perf_counter_ns() + calls.milliseconds * 1e6
            while len(spent) < calls.count or time.perf_counter_ns() < end:
                start = clock()
                answer(inputs)
                spent.append(clock() - start)
            say("times", Times(nanoseconds=spent, memory_bytes=_peak_memory()))
    except PruneError as error:
        say("failed", Failed(message=str(error), hint=error.hint))
    except Exception as error:  # whatever a runtime raises at a shape it cannot take
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        say("failed", Failed(message=f"{wanted.runtime} does not answer: {reason}"))
    return 0


def _peak_memory() -> int:
    """The most memory that this process has had, in bytes; 0 where the system does not tell."""
    try:
        # not getrusage: on Linux that begins with the size of the process that started this one
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

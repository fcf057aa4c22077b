"""What tests have done in other processes; nothing heavy is imported."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from prunecli.machine.processes import at_work


def do(work: tuple[str, str]) -> tuple[int, str]:
    """Its process and threads.

    `die` kills it, `once` where the file is not there; `told` is told to end there; `wait` waits.
    """
    what, file = work
    with at_work():
        if what == "die" or (what == "once" and not Path(file).exists()):
            Path(file).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "told" and not Path(file).exists():
            Path(file).touch()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        if what == "wait":
            Path(file).touch()
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                Path(file).write_text("cleared up")
                raise
        return os.getpid(), os.environ["OMP_NUM_THREADS"]

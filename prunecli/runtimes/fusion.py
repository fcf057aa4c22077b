"""Which way ONNX Runtime answers faster here: with its SkipLayerNormalization, or without.

From 1.30 on its operator for a LayerNorm after a sum takes longer on processors than the two apart.
`benchmarks/skip_layer_norm.py` shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, median
from typing import TYPE_CHECKING, Any, Final

from prunecli.errors import InputError
from prunecli.machine.hardware import processor
from prunecli.models.madeup import MadeUp
from prunecli.onnxfile.session import write_session
from prunecli.records.artefacts import SKIP_LAYER_NORM, SessionInfo
from prunecli.runtimes.base import read_of, version_of
from prunecli.runtimes.onnx import open_session
from prunecli.text.numbers import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHAPES: Final = ((1, 16), (1, 128), (8, 16))
"""Sequences and tokens of the calls that are measured."""
_SECONDS: Final = 0.05
"""About so long all calls at one shape take together, unless the fewest take longer."""
_LEAST, _MOST = 5, 50
"""Turns at one shape."""
_MARGIN: Final = 1.02
"""Below it the two are taken for as fast as each other, and the file is opened as by default."""
_FINE: Final = 1e-4
"""Seconds: a clock that is no finer does not tell calls apart."""


def choose_session(path: Path, longest: int | None, made_up: MadeUp) -> tuple[SessionInfo, float]:
    """Measure an ONNX file with and without the fused operator, and write the choice into it.

    Both ways take turns at `SHAPES`, of at most ``longest`` tokens, of texts that are ``made_up``,
    for what is measured does not depend on the words. They do on one thread, whose threads so
    do not disturb each other, in processor time where the system's clock for it is fine enough.
    Beside the choice stands how many times as fast answers are without the operator: over shapes,
    the geometric mean of the medians over turns. Raises `InputError` where the file does not answer
    at one of them.
    """
    ways = [open_session(path, threads=1, disabled=way) for way in ((), (SKIP_LAYER_NORM,))]
    names = [entry.name for entry in ways[0].get_inputs()]
    shapes = dict.fromkeys((batch, min(tokens, longest or tokens)) for batch, tokens in SHAPES)
    times = geometric_mean(
        _times_as_fast(*(_calling(way, read_of(names, made_up(*shape))) for way in ways))
        for shape in shapes
    )
    session = SessionInfo(
        disabled_optimizers=(SKIP_LAYER_NORM,) if times > _MARGIN else (),
        runtime=version_of("onnxruntime"),
        processor=processor(),
    )
    write_session(path, session)
    return session, times


def _calling(session: Any, inputs: dict[str, NDArray[np.int64]]) -> Callable[[], object]:
    """A call of a session, which has answered once when this returns."""

    def call() -> object:
        return session.run(None, inputs)

    try:
        call()
    except Exception as error:  # its errors have no base of their own
        batch, tokens = inputs["input_ids"].shape
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"ONNX Runtime cannot answer {counted(batch, 'text')} of {counted(tokens, 'token')} by "
            f"the file that PyTorch wrote: {reason}",
            hint="use --format packed or hf",
        ) from None
    return call


def _times_as_fast(usual: Callable[[], object], other: Callable[[], object]) -> float:
    """How many times the second is as fast as the first; each goes first in every other turn."""
    coarse = time.get_clock_info("thread_time").resolution > _FINE
    clock = time.perf_counter if coarse else time.thread_time

    def seconds(call: Callable[[], object]) -> float:
        begin = clock()
        call()
        return clock() - begin

    for call in (usual, other):
        call()  # memory is taken and caches are filled
    turns = max(_LEAST, min(_MOST, round(_SECONDS / (seconds(usual) + seconds(other)))))
    ratios = []
    for turn in range(turns):
        if turn % 2:
            second, first = seconds(other), seconds(usual)
        else:
            first, second = seconds(usual), seconds(other)
        ratios.append(first / second)
    return median(ratios)

"""`prunecli.compress`: the command for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prunecli.data.guess import Said
from prunecli.pipelines.compress.compress import Compressed, Request
from prunecli.pipelines.compress.compress import compress as _compress
from prunecli.pipelines.compress.subject import Asked
from prunecli.pipelines.job import Job, with_demo_defaults
from prunecli.progress import Progress, Silent
from prunecli.records.compressions import Targets
from prunecli.settings.loading import load_settings
from prunecli.store.opening import workspace_at


def compress(
    model: str | Path | None = None,
    *,
    data: str | Path | None = None,
    task: str | None = None,
    text: Sequence[str] = (),
    label: str | None = None,
    labels: Sequence[str] = (),
    max_drop: float = 1.0,
    confidence: float = 0.0,
    faster: float | None = None,
    smaller: float | None = None,
    max_mb: float | None = None,
    max_ms: float | None = None,
    minutes: float | None = None,
    batch_size: int = 1,
    length: int | None = None,
    threads: int = 1,
    output: str | Path = "compressed",
    workspace: str | Path = "workspace",
    demo: bool = False,
    progress: Progress | None = None,
) -> Compressed:
    """What `prune compress` does, with its options; see docs/compress.md.

    ``progress`` is told what happens; nobody is unless given. Nobody is asked either: it goes on
    though the examples may not show what is asked. That targets are not met raises nothing:
    ``record.missed`` says so, and ``output`` of what is returned is ``None``. Raises `UsageError`
    and `InputError` as the command does.
    """
    given = {
        "data": None if data is None else str(data),
        "demo": demo or None,
        "workspace": str(workspace),
    }
    settings = load_settings(given)
    store = workspace_at(settings.workspace).prepare()
    job = Job(
        with_demo_defaults(settings),
        store,
        "prunecli.compress(…)",
        progress or Silent(),
        columns=Said(tuple(text), label),
    )
    request = Request(
        asked=Asked(None if model is None else str(model), task, tuple(labels)),
        targets=Targets(
            max_drop=max_drop,
            confidence=confidence,
            faster=faster,
            smaller=smaller,
            max_mb=max_mb,
            max_ms=max_ms,
        ),
        batch=batch_size,
        length=length,
        threads=threads,
        minutes=minutes,
        output=Path(output),
    )
    return _compress(job, request)

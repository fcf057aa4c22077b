"""The hub: a real download from a stand-in on this machine, and every way of not getting one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hub_stand_in import hub

PROGRAM = """
import json, sys
from prunecli.data import fingerprint, load
from prunecli.errors import InputError
from prunecli.tasks import get_task
task = get_task(sys.argv[1])
try:
    data = load(task, "hub")
except InputError as error:
    print(json.dumps({"error": str(error), "hint": error.hint}))
else:
    validation = data.evaluation["validation"]
    print(json.dumps({
        "train": len(data.train),
        "texts": validation["text_a"][:],
        "labels": validation["label"][:],
        "index": validation["index"][:],
        "source": data.source,
        "fingerprints": [data.fingerprint, fingerprint(task, "hub")],
    }))
"""


def run(home: Path, endpoint: str, task: str = "sst2", **environment: str) -> dict[str, Any]:
    """What a fresh process gets from the hub at ``endpoint`` with its cache in ``home``."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, task],
        env={**clean, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "%|" not in done.stderr  # no progress bars
    return json.loads(done.stdout)


def refusing_endpoint() -> str:
    """An address on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_download_then_offline_then_unreachable(tmp_path: Path) -> None:
    with hub() as endpoint:
        first = run(tmp_path, endpoint)
        missing = run(tmp_path, endpoint, task="rte")
    assert first["train"] == 3
    assert first["texts"] == ["nice", "dull"]
    assert first["labels"] == [1, 0]  # by name: this repository's ids are the other way round
    assert first["index"] == [0, 1]
    assert first["source"] == "hub nyu-mll/glue"
    assert len(set(first["fingerprints"])) == 1
    assert missing["error"].startswith("cannot get RTE (nyu-mll/glue, 'rte') from the hub")
    assert run(tmp_path, endpoint, HF_HUB_OFFLINE="1") == first
    assert run(tmp_path, refusing_endpoint()) == first


def test_nothing_cached_and_no_hub_is_said_quickly(tmp_path: Path) -> None:
    for environment in ({}, {"HF_HUB_OFFLINE": "1"}):
        start = time.monotonic()
        answer = run(tmp_path, refusing_endpoint(), **environment)
        assert time.monotonic() - start < 30
        assert "\n" not in answer["error"]
        assert answer["error"].startswith("cannot get SST-2 (nyu-mll/glue, 'sst2') from the hub")
        assert "--data FOLDER" in answer["hint"]
        assert "--demo" in answer["hint"]

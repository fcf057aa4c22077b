"""A cluster of Ray on this machine whose worker and machine are killed: the same bytes as without.

``python benchmarks/ray_cluster.py`` starts three node processes of Ray here, one processor
each, and the sweep of ``benchmarks/jobs.py`` on them. When points are under way it kills a worker
process and then a whole node with what it was doing. What the sweep leaves is held against what
``--engine local --jobs 2`` leaves: all bytes of all files, but for times, commands and what a
training that went on says of its start. It needs ``pip install 'prunecli[ray]'`` and no network.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from jobs import SIX, awaited, children, compare, ended, started, told

_AT_WORK = b"ray::do"
"""How Ray calls a process that is at work on a point."""


def main() -> None:
    os.environ.setdefault("RAY_worker_niceness", "0")  # as the processes of the local engine
    import ray
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="prune-ray-") as temporary:
        root = Path(temporary)
        here, there = root / "local", root / "ray"
        ended(started(here, "--jobs", "2", *SIX), here)
        print(f"--engine local --jobs 2: {told(here)} points made", flush=True)
        node: dict[str, Any] = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 100 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        others = [cluster.add_node(**node) for _ in range(2)]
        print(f"ray {ray.__version__}: three nodes at {cluster.address}", flush=True)
        try:
            asked = ("--engine", "ray", "--ray-address", cluster.address)
            sweep = started(there, *asked, *SIX)
            first, second = (one.all_processes["raylet"][0].process.pid for one in others)
            worker, *_ = awaited(sweep, there, lambda: children(first, _AT_WORK))
            os.kill(worker, signal.SIGKILL)
            print(f"killed a worker of node 2, {told(there)} points made", flush=True)
            awaited(sweep, there, lambda: children(second, _AT_WORK), made=2)
            cluster.remove_node(others[1], allow_graceful=False)
            print(f"killed node 3 at work, {told(there)} points made", flush=True)
            ended(sweep, there)
        finally:
            cluster.shutdown()
        print((there / "err").read_text().strip(), flush=True)
        print(compare(here, there), flush=True)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()

"""What tests of several parts share: the command line in this process, and finished runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calling import SWEEP, Called, call
from hypothesis import HealthCheck, settings
from sparing import spared

from prunecli.store.workspace import Workspace

if "PYTEST_XDIST_WORKER" in os.environ:  # each has a core, not all of them
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# What takes how long is never asserted: a machine may be busy.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-golden", action="store_true", help="write the golden reports anew")


@pytest.fixture
def renew_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--renew-golden"))


@pytest.fixture(scope="session")
def prune() -> Callable[..., Called]:
    return call


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> None:
    """No variable of the person who runs the tests changes what they test."""
    for name in ("PRUNE_WORKSPACE", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        os.environ.pop(name, None)
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Tests look into model/ of runs; tests/pipelines/test_keeping.py has those that are kept small.
    os.environ["PRUNE_KEEP_MODELS"] = "all"


@pytest.fixture(autouse=True, scope="session")
def _sooner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    own = tmp_path_factory.getbasetemp()  # with xdist it lies in that of the whole run
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    shared.mkdir(exist_ok=True)
    with spared(shared):
        yield


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a baseline and a sweep of two strategies over two levels; not to be changed.

    Its runs were made by `SWEEP` with one baseline epoch.
    """
    root = tmp_path_factory.mktemp("swept") / "workspace"
    done = call("sweep", *SWEEP, "--baseline-epochs", "1", "--epochs", "0", "-w", root)
    assert done.code == 0, done.err
    return Workspace(root)


@pytest.fixture
def workspace(swept: Workspace, tmp_path: Path) -> Workspace:
    """A copy of `swept` that a test may change, as it was left: no counts are remembered there.

    Tests that read `swept` remember counts, and which tests did so before depends on how the
    processes of a test run share the files.
    """
    shutil.copytree(swept.root, tmp_path / "workspace", ignore=shutil.ignore_patterns("counts"))
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def baseline(swept: Workspace) -> str:
    """Name of the baseline in `swept`."""
    return next(name for name in swept.names() if "-baseline-" in name)


@pytest.fixture
def pruned(swept: Workspace) -> str:
    """Name of a pruned run in `swept`: global magnitude at 80%."""
    return next(name for name in swept.names() if "-global-magnitude-80-" in name)

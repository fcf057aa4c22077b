"""The public surface: what ``import prunecli`` offers, and that it stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

import prunecli

SURFACE = {
    "Evidence",
    "Mask",
    "PackSettings",
    "PruneError",
    "RunRecord",
    "Workspace",
    "__version__",
    "achieved",
    "compress",
    "cut_units_",
    "load",
    "load_mask",
    "load_predictions",
    "pack",
    "plan",
    "prunable",
    "prune_",
    "save_mask",
    "unpack",
}


def test_the_public_names_are_these():
    assert set(prunecli.__all__) == SURFACE
    assert set(dir(prunecli)) >= SURFACE


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_each_public_name_is_there_and_documented(name):
    value = getattr(prunecli, name)
    assert name == "__version__" or value.__doc__


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="frobnicate"):
        _ = prunecli.frobnicate


def test_importing_the_package_imports_nothing_else():
    code = (
        "import sys, prunecli; print(sum(n.partition('.')[0] == 'prunecli' for n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"

"""Asking the C library to keep memory: once where it listens, never an error."""

from __future__ import annotations

import ctypes
import platform
import sys
from types import SimpleNamespace

import pytest

from prunecli.training.memory import give_back_freed_memory, keep_freed_memory


def test_glibc_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[int, int] = {}
    library = SimpleNamespace(mallopt=told.__setitem__)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    keep_freed_memory()
    assert told == {-4: 0, -1: 2**31 - 1, -2: 2**28}
    told.clear()
    give_back_freed_memory()
    assert told == {-3: 2**20}


@pytest.mark.parametrize(("system", "libc"), [("linux", ""), ("darwin", ""), ("win32", "")])
def test_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, system: str, libc: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(ctypes, "CDLL", None)
    keep_freed_memory()
    give_back_freed_memory()

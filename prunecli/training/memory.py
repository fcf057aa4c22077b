"""Memory that the C library should keep for the next step."""

from __future__ import annotations

import ctypes
import platform
import sys

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory, for as long as the process lives; elsewhere do nothing.

    By default it hands large buffers back to the system when they are freed. Training on a CPU
    frees and takes the same ones at every step, and the page faults of getting fresh ones cost a
    quarter of it: 358 ms in place of 271 for a step of 32 examples on one thread.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 1 << 28)

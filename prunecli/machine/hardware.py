"""What this machine is and can do: device, precision, and the words for a record."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from prunecli.errors import InputError, UsageError
from prunecli.records.runs import MachineInfo

_TOPOLOGY = Path("/sys/devices/system/cpu")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
_RECORDED = ("prunecli", "torch", "transformers", "datasets", "tokenizers", "safetensors")
_X86 = ("x86_64", "amd64", "i686", "i386", "x86")


def resolve_device(wanted: str) -> str:
    """``cpu``, ``cuda`` or ``mps``; ``auto`` takes the fastest there is. Raises `InputError`."""
    import torch

    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(name for name, there in available.items() if there)
    if not available[wanted]:
        raise InputError(f"this machine has no usable {wanted} device", hint="use --device auto")
    return wanted


def resolve_precision(wanted: str, device: str) -> Literal["float32", "bf16"]:
    """``auto`` is bf16 where ``device`` computes in it natively, float32 elsewhere."""
    if wanted == "float32":
        return "float32"
    if wanted == "bf16" or native_bf16(device):
        return "bf16"
    return "float32"


def native_bf16(device: str) -> bool:
    """Whether ``device`` has bf16 arithmetic in hardware, not only in emulation."""
    if device == "cuda":
        import torch

        return bool(torch.cuda.get_device_capability() >= (8, 0))
    return device == "cpu" and bool({"avx512_bf16", "amx_bf16", "bf16"} & cpu_flags())


def check_bf16(purpose: str) -> None:
    """Raise `InputError`, beginning with ``purpose``, unless the processor computes in bf16."""
    if not native_bf16("cpu"):
        raise InputError(
            f"{purpose} needs a processor with bf16 arithmetic, which this one has not: "
            f"{processor()}",
            hint="prune doctor says what it has; float32 and --int8 work everywhere",
        )


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """Instruction-set flags of the first processor; empty where the system does not tell."""
    for line in _cpuinfo():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def int8_overflows() -> bool:
    """Whether sums of products of 8 bits can overflow on the processor, so that 7 must do.

    They do in the 16 bits of x86 without the dot product of 8 bits (VNNI), which is taken to be
    missing where the system does not tell.
    """
    x86 = platform.machine().lower() in _X86
    return x86 and not cpu_flags() & {"avx512_vnni", "avx_vnni", "amx_int8"}


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def processor() -> str:
    """The processor's model, as the system calls it."""
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked_threads(asked: int | None, option: str = "--threads") -> int:
    """As many threads as were asked for by ``option``, one for each core unless given.

    Raises `UsageError` for more than there are cores.
    """
    cores = available_cores()
    if asked is not None and asked > cores:
        raise UsageError(f"{option} {asked} on {cores} cores", hint=f"at most {cores}")
    return asked or cores


def apart(processors: Iterable[int]) -> list[int]:
    """Logical processors, those of different cores first, where the system tells (Linux)."""

    def place(number: int) -> tuple[int, int]:
        path = _TOPOLOGY / f"cpu{number}" / "topology" / "thread_siblings_list"
        try:
            listed = path.read_text(encoding="ascii").strip()
        except OSError:
            return 0, number
        siblings = [int(one) for one in re.split(r"[,-]", listed) if one.isdecimal()]
        return int(number != min(siblings, default=number)), number

    return sorted(processors, key=place)


def pinned(threads: int) -> tuple[int, ...]:
    """As many of the cores that this process may use; none where the system does not pin."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(apart(os.sched_getaffinity(0))[:threads]))


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return 0.0


def free_disk(path: Path) -> int:
    """Bytes free on the disk of ``path``, which need not exist yet."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def free_memory(device: str) -> int | None:
    """Bytes of memory that can be had on ``device``; ``None`` where the system does not tell.

    On a CPU that is what Linux says is available, swap included, within the limit of the control
    group.
    """
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    if device != "cpu":
        return None
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        said = {name: int(value.split()[0]) * 1024 for name, value in (x.split(":") for x in lines)}
        free = said["MemAvailable"] + said["SwapFree"]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    try:
        return min(free, int(_MEMORY_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # "max" is no number
        return free


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    found = {"python": platform.python_version()}
    for package in _RECORDED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine(device: str) -> MachineInfo:
    """This machine, for a record."""
    import torch

    return MachineInfo(
        system=f"{platform.system()} {platform.machine()}",
        processor=processor(),
        cores=available_cores(),
        memory_gib=round(_memory_gib(), 1),
        device=torch.cuda.get_device_name() if device == "cuda" else device,
        threads=torch.get_num_threads(),
        versions=versions(),
    )

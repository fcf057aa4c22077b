from __future__ import annotations

import json
from pathlib import Path

import pytest

from prunecli.errors import InputError
from prunecli.machine import hardware


def test_auto_takes_the_fastest_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert hardware.resolve_device("auto") == "cpu"
    for name in ("cuda", "mps"):
        with pytest.raises(InputError, match=f"no usable {name} device"):
            hardware.resolve_device(name)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert hardware.resolve_device("auto") == "mps"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert hardware.resolve_device("auto") == "cuda"
    assert hardware.resolve_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ({"avx512_bf16", "avx2"}, True),
        ({"amx_bf16"}, True),
        ({"bf16", "asimd"}, True),
        ({"avx2", "avx512f"}, False),
        (set(), False),
    ],
)
def test_bf16_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], native: bool
) -> None:
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset(flags))
    assert hardware.native_bf16("cpu") is native
    assert not hardware.native_bf16("mps")
    assert hardware.resolve_precision("auto", "cpu") == ("bf16" if native else "float32")
    assert hardware.resolve_precision("float32", "cpu") == "float32"
    assert hardware.resolve_precision("bf16", "cpu") == "bf16"


@pytest.mark.parametrize(
    ("processor", "flags", "overflows"),
    [
        ("x86_64", {"avx2", "avx512f"}, True),
        ("x86_64", {"avx2", "avx512_vnni"}, False),
        ("x86_64", {"avx2", "avx_vnni"}, False),
        ("x86_64", set(), True),  # macOS does not tell
        ("AMD64", set(), True),  # nor does Windows
        ("arm64", set(), False),
        ("aarch64", {"asimd"}, False),
    ],
)
def test_sums_of_8_bits_overflow_unless_the_processor_is_known_to_hold_them(
    monkeypatch: pytest.MonkeyPatch, processor: str, flags: set[str], overflows: bool
) -> None:
    monkeypatch.setattr(hardware.platform, "machine", lambda: processor)
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset(flags))
    assert hardware.int8_overflows() is overflows


def test_flags_of_both_kinds_of_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in ("flags\t\t: fpu avx2 amx_bf16", "Features\t: fp asimd bf16"):
        hardware.cpu_flags.cache_clear()
        monkeypatch.setattr(hardware, "_cpuinfo", lambda line=line: ["processor : 0", line])
        assert hardware.cpu_flags() == frozenset(line.split(": ")[1].split())
    hardware.cpu_flags.cache_clear()
    monkeypatch.setattr(hardware, "_cpuinfo", list)
    assert hardware.cpu_flags() == frozenset()
    hardware.cpu_flags.cache_clear()


def test_this_machine_for_a_record() -> None:
    facts = hardware.machine("cpu")
    assert facts.device == "cpu"
    assert facts.cores >= 1
    assert facts.memory_gib > 0
    assert facts.versions["torch"]
    assert json.loads(facts.model_dump_json())["threads"] >= 1


def test_processors_of_different_cores_come_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number, siblings in enumerate(["0,4", "1-5", "2,6", "3,7", "0,4", "1-5"]):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    monkeypatch.setattr(hardware, "_TOPOLOGY", tmp_path)
    assert hardware.apart([5, 4, 0, 1, 3]) == [0, 1, 3, 4, 5]
    monkeypatch.setattr(hardware, "_TOPOLOGY", tmp_path / "absent")
    assert hardware.apart({2, 0, 1}) == [0, 1, 2]

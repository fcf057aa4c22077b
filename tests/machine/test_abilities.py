"""What a machine can exploit: by the flags of its processor."""

from __future__ import annotations

import pytest

from prunecli.machine import abilities, extras


def there(monkeypatch: pytest.MonkeyPatch, *flags: str) -> set[str]:
    for module in ("prunecli.machine.abilities", "prunecli.machine.hardware"):
        monkeypatch.setattr(f"{module}.cpu_flags", lambda: frozenset(flags))
    return {one.name for one in abilities.abilities("cpu") if one.there}


@pytest.mark.parametrize(
    ("flag", "ability"),
    [
        ("avx512f", "512-bit vectors (AVX-512)"),
        ("avx512_vnni", "int8 dot products (VNNI, Arm dotprod)"),
        ("avx_vnni", "int8 dot products (VNNI, Arm dotprod)"),
        ("asimddp", "int8 dot products (VNNI, Arm dotprod)"),
        ("amx_int8", "int8 matrices (AMX, Arm i8mm)"),
        ("amx_bf16", "bf16 arithmetic"),
    ],
)
def test_each_flag_means_its_ability(
    monkeypatch: pytest.MonkeyPatch, flag: str, ability: str
) -> None:
    assert there(monkeypatch, flag) - there(monkeypatch) == {ability}


def test_a_processor_has_no_sparse_tensor_cores() -> None:
    assert not abilities.sparse_tensor_cores("cpu")


@pytest.mark.parametrize(
    ("capability", "sparse"), [((8, 0), True), ((9, 0), True), ((7, 5), False)]
)
def test_sparse_tensor_cores_from_ampere_on(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], sparse: bool
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: capability)
    assert abilities.sparse_tensor_cores("cuda") is sparse


def test_what_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    advice = {one.name: one.advice for one in abilities.abilities("cpu")}
    assert advice["ONNX Runtime"] == "pip install 'prunecli[onnx]'"
    assert advice["OpenVINO"] == "pip install 'prunecli[openvino]'"

"""``prune doctor``: what this machine can do."""

from __future__ import annotations

from pathlib import Path

from prunecli.cli.options import Invocation, takes
from prunecli.text.numbers import megabytes

EXAMPLE = "prune doctor --json"


@takes("device", "workspace", "json", "quiet", "verbose")
def command(call: Invocation) -> int:
    """Say what this machine offers, what compressed models can exploit of it, and the versions."""
    from prunecli.machine.abilities import UNSTRUCTURED, abilities
    from prunecli.machine.hardware import (
        free_disk,
        machine,
        native_bf16,
        resolve_device,
        resolve_precision,
    )

    device = resolve_device(call.settings.device)
    facts = machine(device).model_dump()
    facts["native_bf16"] = native_bf16(device)
    facts["training_precision"] = resolve_precision("auto", device)
    facts["free_disk_bytes"] = free_disk(Path(call.settings.workspace))
    found = abilities(device)
    if call.console.json:
        facts["abilities"] = [vars(one) for one in found]
        facts["advice"] = UNSTRUCTURED
        call.console.document(facts)
        return 0
    versions, free = facts.pop("versions"), facts.pop("free_disk_bytes")
    facts["free disk"] = f"{megabytes(free)} for {call.settings.workspace}"
    rows = [[key.replace("_", " "), str(value)] for key, value in facts.items()]
    rows += [[package, number] for package, number in versions.items()]
    call.console.table("This machine", ("What", "Value"), rows)
    call.console.table(
        "What it can exploit",
        ("What", "Here", "So"),
        [[one.name, "yes" if one.there else "no", one.advice] for one in found],
        note=UNSTRUCTURED,
    )
    return 0

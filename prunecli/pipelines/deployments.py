"""As what the speed of a model is measured: an export format with its options, by one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prunecli.errors import InputError, UsageError
from prunecli.machine.extras import needed
from prunecli.pipelines.exports import EXPORTS, ExportFormat
from prunecli.records.artefacts import Setting
from prunecli.registry import Registry


@dataclass(frozen=True)
class Deployment:
    """How a model is written to be measured, and so which runtime answers."""

    format_name: str
    given: Mapping[str, Setting] = field(default_factory=dict)
    """Options of the format, as they are given on the command line."""

    @property
    def format(self) -> ExportFormat:
        """The export format."""
        return EXPORTS.get(self.format_name)

    @property
    def settings(self) -> dict[str, Setting]:
        """Of the format. Raises what that raises where a package or an instruction is missing."""
        return self.format.settings(self.given)

    def check(self) -> None:
        """Raise `InputError` where something that it cannot do without is missing."""
        for module, extra in self.format.packages.items():
            needed(module, extra=extra, purpose=f"--format {self.format_name}")
        self.settings  # noqa: B018 - which raises


DEPLOYMENTS: Final[Registry[Deployment]] = Registry("deployment")
DEPLOYMENTS.register("onnx")(Deployment("onnx"))
DEPLOYMENTS.register("onnx-int8")(Deployment("onnx", {"int8": True}))
DEPLOYMENTS.register("onnx-int8-static")(Deployment("onnx", {"int8": True, "static": True}))
DEPLOYMENTS.register("torch")(Deployment("hf"))
DEPLOYMENTS.register("torch-int8")(Deployment("torch-int8"))
DEPLOYMENTS.register("openvino")(Deployment("openvino"))
DEPLOYMENTS.register("openvino-bf16")(Deployment("openvino", {"precision": "bf16"}))
DEPLOYMENTS.register("openvino-int8")(Deployment("openvino", {"int8": True}))


def deployment_of(format_name: str, settings: Mapping[str, Setting]) -> str:
    """The name under which a model that is exported so is measured; else `UsageError`."""
    shaping = {key: value for key, value in settings.items() if key != "calibration_samples"}
    for name in DEPLOYMENTS:
        found = DEPLOYMENTS.get(name)
        if found.format_name == format_name and _same(found, shaping):
            return name
    raise UsageError(
        f"--format {format_name} with these options is no way in which a speed is measured",
        hint="make the run by itself: prune prune --faster X --deployed-as NAME, then export it",
    )


def _same(deployment: Deployment, settings: Mapping[str, Setting]) -> bool:
    try:
        return deployment.settings == settings
    except InputError:  # this machine does not have what it takes
        return False

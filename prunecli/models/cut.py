"""Models whose heads and neurons were cut out: into a folder, and out of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.models.hub import unusable
from prunecli.models.skeleton import check_tables, fill_tables_, skeleton
from prunecli.models.weightfiles import WEIGHTS
from prunecli.store.structures import STRUCTURE, Structure

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NEURONS = ("intermediate_size", "hidden_dim")
"""What configurations call the number of neurons in a layer."""


def structure_of(model: PreTrainedModel) -> Structure | None:
    """How ``model`` was cut; ``None`` where its configuration says all, which is made to if it can.

    It can where all heads are there and all layers have as many neurons.
    """
    from prunecli.core.cutting import unit_counts

    try:
        counts = unit_counts(model)
    except InputError:  # of a kind that is never cut
        return None
    config, name = model.config, type(model).__name__
    if unit_counts(skeleton_in(config, name)) == counts:
        return None
    for key in _NEURONS:
        before = getattr(config, key, None)
        if before is not None and _even(counts["neurons"]):
            setattr(config, key, counts["neurons"][0])
            if unit_counts(skeleton_in(config, name)) == counts:
                return None
            setattr(config, key, before)
    return Structure(heads=counts["heads"], neurons=counts["neurons"])


def _even(counts: Sequence[int]) -> bool:
    """Whether all layers have as many, and any."""
    return counts[0] > 0 and len(set(counts)) == 1


def cut_model(name: str, config: Any, structure: Structure) -> PreTrainedModel:
    """The model in a folder with a ``structure.json``, in float32; raises `InputError`.

    It is built and cut without memory, compared with the shapes in the weight file, and only then
    made, as small as it is: of no weight that the file lacks is the size taken at its word.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    weights = Path(name) / WEIGHTS
    model = cut_skeleton(skeleton_in(config, name), structure, name)
    try:
        with safe_open(weights, "pt") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise unusable("model", name, error) from None
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            stored, told = (sides(of[key]) if key in of else "nothing" for of in (found, expected))
            raise InputError(
                f"{name}: '{key}' is {stored} in its weights and {told} by its {STRUCTURE}",
                hint="its files are of different models: copy the whole folder again",
            )
    check_tables(model, weights.stat().st_size, name)
    model.to_empty(device="cpu")
    fill_tables_(model)
    model.load_state_dict(load_file(weights))
    return model


def cut_skeleton(model: PreTrainedModel, structure: Structure, name: str) -> PreTrainedModel:
    from prunecli.core.cutting import cut_to_

    try:
        cut_to_(model, structure.counts)
    except InputError as error:
        raise InputError(f"{name}: {STRUCTURE} does not fit its config.json: {error}") from None
    return model


def skeleton_in(config: Any, name: str) -> PreTrainedModel:
    """`skeleton`, whose errors are the user's."""
    try:
        return skeleton(config)
    except Exception as error:
        raise unusable("model", name, error) from None


def sides(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))

"""What methods are called: short, and different where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prunecli.core.patterns import parse_pattern
from prunecli.core.zeros import is_sparse
from prunecli.records.cuts import BY_LATENCY
from prunecli.reporting.facts.recipes import recipe_of
from prunecli.reporting.facts.results import Method
from prunecli.settings.listing import GROWTH

STRATEGY_TITLES = {"layerwise": "layer-wise"}


def method_order(method: Method) -> tuple[Any, ...]:
    """Cuts last; one-shot first, then by what is removed and how."""
    cut = method.cut
    return (
        (cut.heads, cut.neurons) if cut else (),
        method.recovery.epochs if method.recovery else 0.0,
        method.distillation is not None,
        method.pattern != "unstructured",
        method.pattern,
        method.criterion != "magnitude",
        method.criterion,
        method.strategy,
        repr(method),
    )


def method_labels(methods: Sequence[Method]) -> list[str]:
    """A short label for each method; whatever tells two of them apart is in theirs.

    What is said of all is short; other settings are named where two would be called the same.
    """
    several_criteria = len({method.criterion for method in methods}) > 1
    short = [_short_label(method, several_criteria) for method in methods]
    settings = [_flat(_used(method)) for method in methods]
    labels = []
    for label, own in zip(short, settings, strict=True):
        rivals = [other for name, other in zip(short, settings, strict=True) if name == label]
        telling = [key for key in own if any(_tells(key, own, rival) for rival in rivals)]
        labels.append(", ".join([label, *filter(None, (_said(key, own[key]) for key in telling))]))
    return labels


def _used(method: Method) -> dict[str, Any]:
    """Its settings, without those of growth where all goes in one step."""
    unused = GROWTH if method.schedule == "oneshot" else ()
    return {key: value for key, value in method.as_dict().items() if key not in unused}


def _short_label(method: Method, several_criteria: bool) -> str:
    if method.cut is not None:
        return ", ".join([method.cut.title, *_cut_words(method), *_recovery_words(method)])
    pattern = parse_pattern(method.pattern)
    words = [STRATEGY_TITLES.get(method.strategy, method.strategy)]
    if pattern.fixed_level is not None:  # every group loses as much, so there is nothing to share
        words = [method.pattern]
    elif not pattern.is_unstructured:
        words.append(method.pattern)
    if method.criterion != "magnitude" or several_criteria:
        words.append(method.criterion)
    return ", ".join([" ".join(words), *_recovery_words(method)])


def _cut_words(method: Method) -> list[str]:
    """How it is shared and ranked, where that is not as it is by default."""
    usual = method.strategy in ("global", BY_LATENCY)
    words = [STRATEGY_TITLES.get(method.strategy, method.strategy)] * (not usual)
    words += [method.criterion] * (method.criterion != "reconstruction")
    if method.cut is not None and not method.cut.refit:
        words.append("no refit")
    return words


def _recovery_words(method: Method) -> list[str]:
    """A recipe by its name; what is none of those that ship, by what it does."""
    if method.recovery is None:
        return []
    count = f"{method.recovery.epochs:.3g}"
    epochs = "epoch" if count == "1" else "epochs"
    recipe = recipe_of(method)
    if recipe is not None:
        return [f"recipe {recipe}", f"{count} {epochs}"]
    each = " per level, chained" if method.chain else ""
    return [f"{count} recovery {epochs}{each}", *["distilled"] * (method.distillation is not None)]


def _tells(key: str, own: dict[str, Any], rival: dict[str, Any]) -> bool:
    if key == "calibration_samples" and None in (own[key], rival[key]):
        return False  # then the criteria differ, of which one learns from no data
    return bool(own[key] != rival.get(key))


def _said(key: str, value: Any) -> str:
    """One setting in words; nothing where it is not set."""
    if value is None or value == "":
        return ""
    if key == "first_criterion":
        return f"{value} first"
    if key == "keep_zeros":
        return "zeros kept" if value else "zeros may come back"
    if isinstance(value, tuple):
        value = " ".join(f"{item:g}" for item in value)
    if isinstance(value, float):
        value = f"{value:.12g}"
    return f"{key.rpartition('.')[2].replace('_', ' ')} {value}"


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def start_kind(sparsity: float) -> str:
    """What a baseline is called by its fraction of zeros: ``dense``, or ``79.8% sparse``."""
    return f"{sparsity:.1%} sparse" if is_sparse(sparsity) else "dense"

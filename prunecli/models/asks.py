"""What a configuration asks to be fetched or run, which is refused; and attention, set by us."""

from __future__ import annotations

from typing import Any, Final

from prunecli.errors import InputError

_ATTENTION: Final = (
    *("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4"),
    "flex_attention",
)
"""What the library has of its own. It may look for a kernel on the hub even for one of these."""
_FETCHING: Final = {
    "quantization_config": "quantised weights, which need code of others",
    "transformers_weights": "weights from a file of its own choice",
    "use_pretrained_backbone": "weights of another model",
    "use_timm_backbone": "code of another library",
    "use_kernels": "kernels from the hub",
}


def check_asks_nothing(config: Any, name: str) -> None:
    """Raise `InputError` where ``config`` asks for what would be fetched or run.

    Which attention is computed is taken out of it: that is the library's own, as by default. What
    is asked of parts of the model counts, too.
    """
    for part in _parts(config):
        for key in ("_attn_implementation_internal", "_experts_implementation_internal"):
            asked = getattr(part, key, None)
            if asked is not None and asked not in _ATTENTION and not _is_own(key, asked):
                raise _refused(name, key.strip("_").removesuffix("_internal"), asked)
        for key, what in _FETCHING.items():
            if getattr(part, key, None):
                raise _refused(name, key, what)
        if hasattr(part, "_attn_implementation_internal"):
            part._attn_implementation_internal = None


def _is_own(key: str, asked: object) -> bool:
    return key.startswith("_experts") and isinstance(asked, str) and "/" not in asked


def _parts(config: Any) -> list[Any]:
    """A configuration and those in it, each once."""
    found: list[Any] = []
    open_ = [config]
    while open_:
        one = open_.pop()
        if any(one is other for other in found):
            continue
        found.append(one)
        keys = getattr(type(one), "sub_configs", None) or {}
        parts = (getattr(one, key, None) for key in keys)
        open_ += [part for part in parts if part is not None]
    return found


def _refused(name: str, key: str, what: object) -> InputError:
    return InputError(
        f"the configuration of {name} asks for {str(what)[:80]} ({key}), and nothing that one "
        "asks for is fetched or run",
        hint=f"take {key} out of its config.json, if the model can do without",
    )

"""How long a text may be where nobody says so."""

from __future__ import annotations

from prunecli.models import loading as models
from prunecli.models.positions import positions_of
from prunecli.settings.model import Settings


def longest_text(settings: Settings, model: str | None) -> int:
    """Tokens that the settings ask for; where they leave it open, no more than ``model`` reads.

    ``model`` is a folder or a hub id, or ``None`` for the one of the demo.
    """
    asked = settings.max_seq_length
    if model is None or "max_seq_length" in settings.model_fields_set:
        return asked
    config = models.load_config(model, any_head=True)  # what its head is like is asked elsewhere
    return min(asked, positions_of(config) or asked)

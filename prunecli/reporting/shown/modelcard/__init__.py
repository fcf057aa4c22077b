"""The card of a run's model: ``README.md`` with a YAML header, as the Hugging Face hub reads it."""

from prunecli.reporting.shown.modelcard.card import model_card

__all__ = ["model_card"]

"""Prune Hugging Face text classifiers, and know exactly what it cost."""

__version__ = "0.1.0"

"""Classifiers of Hugging Face: where they are, whether they can be used, loading and saving."""

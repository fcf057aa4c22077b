"""Predictions, metrics and the statistics of differences."""

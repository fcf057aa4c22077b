"""Trackers of experiments beside the records: one file each, and what opens a run for a point."""

"""Measuring speed and memory of models side by side, each in a process of its own."""

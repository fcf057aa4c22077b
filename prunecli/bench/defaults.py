"""What is measured, and how often, unless told otherwise; light to import, for the help."""

BATCHES, LENGTHS = (1, 32), (16, 32, 64, 128)
"""Sequences of a call, and tokens of each."""
ROUNDS, STARTS = 20, 3
"""Rounds at each shape, and fresh processes of each model."""
MOST_AT_ONCE = 12
"""Of all that was made of a baseline so many are measured together: each has a process."""

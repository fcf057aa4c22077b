"""The masking engine: scope, scores, allocation, exact selection, masks and their invariants.

It needs torch, NumPy and the standard library only, and knows of no files, data sets or trainers.
"""

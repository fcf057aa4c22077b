"""A pruned model as one small file that gives back the model: see ``docs/packed.md``."""

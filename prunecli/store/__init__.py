"""The workspace and the files in it."""

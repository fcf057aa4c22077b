"""What was asked for and what came of it, as it is kept on disk."""

"""What may be said of facts: who wins, what is safe, which level and model to take."""

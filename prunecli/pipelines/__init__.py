"""The whole jobs a user asks for: the only place that joins data, models, masks and records."""

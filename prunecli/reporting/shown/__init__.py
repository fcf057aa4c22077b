"""A whole report in each format, as text."""

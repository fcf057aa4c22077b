"""Facts and verdicts as drawings."""

"""The machine: what it is, what it can do, what it uses, what is installed on it."""

"""Load on the front end, from a process of its own: ``python -m tests.load``."""

"""Loads, watches and unloads engines; one loop owns their state."""

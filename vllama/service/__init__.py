"""Composition root: the service is built from the configuration, runs, follows changes and ends in order."""

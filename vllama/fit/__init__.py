"""Finds the settings that fit a model on this machine."""

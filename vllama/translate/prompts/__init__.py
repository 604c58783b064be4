"""Prompts of models with a Go template, and how their answers are taken apart. Pure."""

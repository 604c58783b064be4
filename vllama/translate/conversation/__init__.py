"""Conversations, shaped and shortened for a model's chat template. Pure."""

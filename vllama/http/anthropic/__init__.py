"""Anthropic's routes: /v1/messages and below."""

"""Anthropic's messages: requests and answers. Pure."""

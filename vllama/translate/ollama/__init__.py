"""Ollama's own API: requests and answers. Pure."""

"""Ollama's own routes: those under /api."""

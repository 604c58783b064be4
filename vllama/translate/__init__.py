"""Ollama, OpenAI and Anthropic to the engine's dialect and back; pure."""

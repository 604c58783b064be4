"""vLLama: a Linux service that makes a box with vLLM on it look like Ollama."""

from __future__ import annotations

__version__ = "0.1.0"

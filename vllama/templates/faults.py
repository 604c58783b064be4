"""What can go wrong with a template: one error, in Go's words. Pure."""

from __future__ import annotations

from vllama.errors import VllamaError


class TemplateError(VllamaError):
    """A template that can't be parsed or run (``template: :1: unclosed action``); Ollama answers 500."""

    code = "template"
    status = 500

"""What is reported while a model arrives in the store, pulled or created. Pure."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from vllama.models.names import ModelName


@dataclass(frozen=True, slots=True)
class Part:
    """What one bar shows: a file of weights, or all small files together."""

    digest: str
    """64 hex digits: the file's SHA-256, or of the small files one made of their names and sizes."""
    total: int
    completed: int


Report = str | tuple[Part, ...]
"""A line as Ollama says it, or the parts that grew."""
Pull = Callable[[ModelName, str], AsyncGenerator[Report]]
"""Brings a model: its name, and the revision of its repository where the name was given with one."""

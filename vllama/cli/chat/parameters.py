"""Reads an option's value from words, as ``/set parameter`` takes it. Names and types are Ollama's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vllama.errors import BadRequest
from vllama.models.parameters import KINDS

_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}

PARAMETERS: Final[Mapping[str, str]] = {name: "list" if kind == "strings" else kind for name, kind in KINDS.items()}
"""Names, and the kinds of their values."""


def read_parameter(name: str, words: Sequence[str]) -> Any:
    """The value that ``words`` spell for option ``name``. Raises BadRequest."""
    kind = PARAMETERS.get(name)
    if kind is None:
        raise BadRequest(f"unknown parameter {name!r}", hint=f"Names: {', '.join(PARAMETERS)}")
    if kind == "list":
        return [word.strip('"') for word in words]
    text = " ".join(words)
    try:
        if kind == "integer":
            return int(text)
        return float(text) if kind == "float" else _TRUTH[text.lower()]
    except (ValueError, KeyError) as error:
        raise BadRequest(f"{name} must be {'an' if kind == 'integer' else 'a'} {kind}, not {text!r}") from error

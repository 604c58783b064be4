"""Reads an option's value from words, as ``/set parameter`` takes it. Names and types are Ollama's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from vllama.errors import BadRequest

_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}

PARAMETERS: Final[dict[str, str]] = {
    "temperature": "float",
    "top_k": "integer",
    "top_p": "float",
    "min_p": "float",
    "typical_p": "float",
    "repeat_penalty": "float",
    "repeat_last_n": "integer",
    "presence_penalty": "float",
    "frequency_penalty": "float",
    "seed": "integer",
    "num_predict": "integer",
    "num_keep": "integer",
    "stop": "list",
    "num_ctx": "integer",
    "num_batch": "integer",
    "num_gpu": "integer",
    "main_gpu": "integer",
    "use_mmap": "boolean",
    "num_thread": "integer",
    "draft_num_predict": "integer",
}


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

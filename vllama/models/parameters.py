"""The parameters of a model, which Ollama calls options in a request: names, types and Ollama's defaults. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

from vllama.errors import VllamaError

FLOATS: Final = {
    "temperature": 0.8,
    "top_p": 0.9,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
INTEGERS: Final = {
    "top_k": 40,
    "repeat_last_n": 64,
    "seed": -1,
    "num_predict": -1,
    "num_keep": 4,
    "num_ctx": 0,
    "num_batch": 512,
    "num_gpu": -1,
    "main_gpu": 0,
    "num_thread": 0,
    "draft_num_predict": 0,
}
_BOOLEANS: Final = frozenset({"use_mmap"})
KINDS: Final[Mapping[str, Literal["float", "integer", "boolean", "strings"]]] = {
    **dict.fromkeys(FLOATS, "float"),
    **dict.fromkeys(INTEGERS, "integer"),
    **dict.fromkeys(_BOOLEANS, "boolean"),
    "stop": "strings",
}
"""The options that there are and the types of their values."""
IDLE: Final[Mapping[str, str]] = {
    "num_ctx": "a model has the context that it is loaded with (max_model_len in the configuration)",
    "typical_p": "vLLM has no such sampling",
    **dict.fromkeys(("num_batch", "num_thread", "use_mmap"), "the configuration says how an engine computes"),
    **dict.fromkeys(("num_gpu", "main_gpu"), "the service chooses the GPUs of an engine"),
    "draft_num_predict": "speculative in the configuration says how an engine drafts tokens",
}
"""Options that are read and have no effect, and why."""
_MAX_INT64: Final = 2**63 - 1


class OptionError(VllamaError):
    """An option has the wrong type. Ollama answers 500, and programs compare the text."""

    code = "bad_option"
    status = 500


def fits(name: str, value: Any) -> bool:
    """Whether ``value`` has the type of the option ``name``, one of ``KINDS``; whole numbers have no fraction."""
    try:
        read = read_value(name, value)
    except (OptionError, OverflowError):  # a whole number that no float can hold
        return False
    return KINDS[name] != "integer" or bool(read == value)


def read_value(name: str, value: Any) -> Any:
    """The value as its type has it; raises OptionError. Unknown names pass."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in FLOATS:
        if not number:
            raise OptionError(f'option "{name}" must be of type float32')
        return float(value)
    if name in INTEGERS:
        if not number:
            raise OptionError(f'option "{name}" must be of type integer')
        return max(-_MAX_INT64, min(math.trunc(value), _MAX_INT64))
    if name in _BOOLEANS and not isinstance(value, bool):
        raise OptionError(f'option "{name}" must be of type boolean')
    if name == "stop":
        if not isinstance(value, list | tuple):
            raise OptionError('option "stop" must be of type array')
        if not all(isinstance(text, str) for text in value):
            raise OptionError('option "stop" must be of an array of strings')
        return tuple(value)
    return value

"""Ollama's ``options``, and what vLLM calls them. Pure.

vLLM is given every sampling value, for its own defaults are not Ollama's. It refuses values out of its bounds, which
Ollama takes as they are: the nearest one that it takes is given instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vllama.models.parameters import FLOATS, INTEGERS, read_value

_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0.0, 2.0),
    "top_p": (1e-6, 1.0),  # 0 means "only the likeliest token", and so does the smallest that there is
    "min_p": (0.0, 1.0),
    "repeat_penalty": (0.01, 100.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}
"""What vLLM takes; the penalty for repetition has no upper bound there, but must stay a number when it is applied."""
_MAX_TOP_K: Final = 2**31 - 1  # vLLM keeps it in 32 bits; far above any vocabulary, and so no bound at all


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options: request over the model's stored parameters over Ollama's defaults."""

    temperature: float
    top_p: float
    min_p: float
    repeat_penalty: float
    presence_penalty: float
    frequency_penalty: float
    top_k: int
    seed: int
    num_predict: int
    """Tokens to make at most; 0 and below: until the model stops."""
    num_keep: int
    num_ctx: int
    """0: not asked for."""
    repeat_last_n: int
    stop: tuple[str, ...]


def read_options(request: Mapping[str, Any], stored: Mapping[str, Any]) -> Options:
    """Check and merge; raises OptionError. Unknown names are ignored, null means "not given"."""
    values: dict[str, Any] = {**FLOATS, **INTEGERS, "stop": ()}
    for source in (stored, request):
        for name, value in source.items():
            if value is not None:
                values[name] = read_value(name, value)
    return Options(**{field: values[field] for field in Options.__slots__})


DEFAULTS: Final = read_options({}, {})
"""What applies where neither the request nor the model says anything."""


def sampling(options: Options, special_tokens: Mapping[str, int]) -> dict[str, Any]:
    """vLLM's sampling fields, without ``max_tokens``.

    A stop that is one special token is sent as its id: vLLM holds text back while it could be the beginning of a stop
    *string*, and such a token never shows in the text anyway.
    """
    bounded = {name: _bounded(name, getattr(options, name)) for name in _BOUNDS}
    out: dict[str, Any] = {
        "temperature": bounded["temperature"],
        "top_p": bounded["top_p"],
        "top_k": min(max(options.top_k, 0), _MAX_TOP_K),
        "min_p": bounded["min_p"],
    }
    if options.repeat_penalty > 0 and options.repeat_penalty != 1.0 and options.repeat_last_n != 0:
        out["repetition_penalty"] = bounded["repeat_penalty"]
    if bounded["presence_penalty"]:
        out["presence_penalty"] = bounded["presence_penalty"]
    if bounded["frequency_penalty"]:
        out["frequency_penalty"] = bounded["frequency_penalty"]
    if options.seed >= 0:
        out["seed"] = options.seed
    texts = [text for text in options.stop if text and text not in special_tokens]
    if texts:
        out["stop"] = texts
    ids = sorted({special_tokens[text] for text in options.stop if text in special_tokens})
    if ids:
        out["stop_token_ids"] = ids
    return out


def _bounded(name: str, value: float) -> float:
    """The nearest value that vLLM takes; what is no number is the default."""
    least, most = _BOUNDS[name]
    return FLOATS[name] if math.isnan(value) else min(max(value, least), most)


def max_tokens(options: Options, context_length: int) -> int:
    """vLLM wants it said, and at most its context; it clamps to the room that the prompt leaves."""
    return min(options.num_predict, context_length) if options.num_predict > 0 else context_length

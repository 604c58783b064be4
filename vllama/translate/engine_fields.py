"""vLLM's own sampling fields, which its users send to OpenAI's routes and Ollama does not know. Pure.

vLLM checks them and refuses a whole request for one odd value. So what it could not take is left out here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from vllama.translate.decoding import Body

_OPTION_NAMES: Final[Mapping[str, str]] = {"top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repeat_penalty"}
_MOST_BIAS: Final = 100.0
_MOST_TOKENS: Final = 2**31 - 1


class EngineFields(Body):
    """A request that may hold these fields."""

    top_k: Any = None
    min_p: Any = None
    repetition_penalty: Any = None
    logit_bias: Any = None
    bad_words: Any = None
    min_tokens: Any = None
    ignore_eos: Any = None
    thinking_token_budget: Any = None


def vllm_options(asked: EngineFields) -> dict[str, Any]:
    """Those of the fields that Ollama has options for; what is no number is ignored."""
    given = {option: getattr(asked, name) for name, option in _OPTION_NAMES.items()}
    return {option: value for option, value in given.items() if _is_number(value)}


def engine_fields(asked: EngineFields) -> dict[str, Any]:
    """The others, as vLLM takes them."""
    read = {name: reader(value) for name, reader in _READERS.items() if (value := getattr(asked, name)) is not None}
    return {name: value for name, value in read.items() if value is not None}


def within(fields: Mapping[str, Any], *, vocabulary: int, most_tokens: int) -> dict[str, Any]:
    """The fields for one model and one request: no token that the model does not have, no more tokens than allowed.

    ``vocabulary`` 0: not known.
    """
    out = dict(fields)
    if "min_tokens" in out:
        out["min_tokens"] = min(out["min_tokens"], most_tokens)
    if vocabulary and "logit_bias" in out:
        out["logit_bias"] = {token: bias for token, bias in out["logit_bias"].items() if int(token) < vocabulary}
    return out


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _biases(given: Any) -> dict[str, float] | None:
    """What to add to the logits of tokens, by their ids."""
    if not isinstance(given, Mapping):
        return None
    return {
        str(int(token)): max(-_MOST_BIAS, min(float(bias), _MOST_BIAS))
        for token, bias in given.items()
        if token.isascii() and token.isdigit() and len(token) < 10 and _is_number(bias) and math.isfinite(bias)
    } or None


def _words(given: Any) -> list[str] | None:
    if not isinstance(given, list):
        return None
    return [word for word in given if isinstance(word, str) and word.strip()] or None


def _count(given: Any) -> int | None:
    return min(int(given), _MOST_TOKENS) if _is_number(given) and 0 <= given < math.inf else None


def _switch(given: Any) -> bool | None:
    return given if isinstance(given, bool) else None


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "logit_bias": _biases,
    "bad_words": _words,
    "min_tokens": _count,
    "ignore_eos": _switch,
    "thinking_token_budget": _count,
}

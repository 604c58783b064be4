"""A call's arguments, as histories really hold them. Pure.

A model may have written anything, and a client sends it back with each request. What is no JSON object becomes an
empty one, as in vLLM: a refusal would end the conversation for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from vllama.translate.extent import check_extent, check_nesting


def arguments_of(given: Any) -> dict[str, Any]:
    """The arguments, given as JSON text or as an object. Raises BadRequest for a text that is too large or too deep."""
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, str):
        return {}
    data = given.encode("utf-8", "replace")
    check_extent(data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    check_nesting(data, value)
    return value if isinstance(value, dict) else {}


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """A call's arguments as most dialects carry them: JSON text."""
    return orjson.dumps(arguments).decode()

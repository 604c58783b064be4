"""Which field of a request vLLM refused, read from its error. Pure.

vLLM has no one form for it: a ``param``, a path of pydantic's, or nothing but a sentence that begins with the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

# as in: min_p must be in [0, 1]. Or: stop cannot contain an empty string.
_SUBJECT: Final = re.compile(r"`?([a-z][a-z_]*)`? (?:must|cannot|contains|entries)\b")
_PATH: Final = re.compile(r"[\w.-]{1,200}")
_PLACE: Final = re.compile(r"'loc': '(?:body\.)?([\w.-]+)'")
_PARAMETER: Final = re.compile(r"\(parameter=([\w.]+)")
_SIGNS: Final = (
    ("grammar", "response_format"),
    ("structural tag", "response_format"),
    ("JSON schema", "response_format"),
    ("json schema", "response_format"),
    ("not a multimodal model", "image"),
    ("out of vocabulary", "prompt"),
    ("at least one prompt", "prompt"),
    ("empty conversation", "messages"),
    ("tool choice", "tool_choice"),
)


def field_of(error: Mapping[str, Any]) -> str:
    """The field as a path (``tools.0.function.strict``); empty where the error names none."""
    message, param = str(error.get("message") or ""), error.get("param")
    if isinstance(param, str) and _PATH.fullmatch(param):
        # pydantic's path names the classes that it tried, too
        steps = [step for step in param.removeprefix("body.").split(".") if step and not step[0].isupper()]
        return ".".join(steps)
    if found := _PARAMETER.search(message) or _PLACE.search(message) or _SUBJECT.match(message):
        return found[1]
    return next((field for sign, field in _SIGNS if sign in message), "")

"""In which order cases may be replayed, and which of them at the same time, so that none changes another's answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

_ANSWERING: Final = frozenset(
    {
        "/api/chat",
        "/api/generate",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/messages",
        "/v1/responses",
    }
)
_OWN_TIMES: Final = frozenset({"queue", "disconnect", "keep_alive", "ps"})


def in_turn(cases: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same cases, those last that unload a model: what comes behind one of them would have to load it again."""
    return sorted(cases, key=_unloads)


def stands_alone(case: dict[str, Any]) -> bool:
    """Is it one question for text, which neither sees nor changes what is loaded?"""
    (step, *more) = case["steps"]
    if more or case["area"] in _OWN_TIMES or step.get("method") != "POST" or step.get("path") not in _ANSWERING:
        return False
    asked = step.get("json")
    return isinstance(asked, dict) and "keep_alive" not in asked and not step.keys() & {"cut", "wait", "poll"}


def _unloads(case: dict[str, Any]) -> bool:
    steps = [one for step in case["steps"] for one in step.get("parallel", [step])]
    bodies = [step["json"] for step in steps if isinstance(step.get("json"), dict)]
    return any(body.get("keep_alive") in (0, "0", "0s") for body in bodies)

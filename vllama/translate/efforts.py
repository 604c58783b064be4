"""Levels of thinking: which of those that a model knows is nearest to the one that was asked for. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
"""From the least to the most, as vLLM names them."""
OLLAMA_EFFORTS: Final = ("low", "medium", "high", "max")
"""What Go templates know."""
_MIDDLE: Final = EFFORTS.index("medium")


def nearest(asked: str, known: Collection[str]) -> str | None:
    """The known level nearest to ``asked``; None when none is known.

    Of two that are equally near it is the one further from the middle: ``high`` asks for more than usual.
    """
    place = EFFORTS.index(asked)

    def distance(level: str) -> tuple[int, int]:
        at = EFFORTS.index(level)
        outward = at > place if place > _MIDDLE else at < place
        return abs(at - place), not outward

    return min((level for level in EFFORTS if level in known), key=distance, default=None)

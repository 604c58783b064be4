"""How errors quote what a client sent: only its beginning if it is long. Pure."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 200
"""Characters of a client's own words in an answer."""
_CUT: Final = "..."
_LONGEST_MESSAGE: Final = 2_000
"""Characters of a whole message: some list several things, and an engine's describe what it did."""


def excerpt(text: str) -> str:
    """``text``, or its beginning when it is too long to be repeated."""
    return text if len(text) <= LONGEST else text[: LONGEST - len(_CUT)] + _CUT


def bounded(message: str) -> str:
    """A message with its middle left out when it is too long: an engine's message can repeat what it was sent."""
    if len(message) <= _LONGEST_MESSAGE:
        return message
    half = (_LONGEST_MESSAGE - len(_CUT)) // 2
    return f"{message[:half]}{_CUT}{message[-half:]}"

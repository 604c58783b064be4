"""How large a regular expression becomes when its counts are written out, and how it stays small. Pure."""

from __future__ import annotations

import re
from typing import Final

# Each character is looked at a few times at most: a class that is never closed reaches to the end.
_TOKEN: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]|\[.*+|\{(\d{1,9}+)\d*+,?(\d{0,9}+)\d*+\}|\{,(\d{1,9}+)\d*+\}|.",
    re.ASCII | re.DOTALL,
)
MAX_PATTERN: Final = 2_000
"""Characters and classes of a pattern, written out as often as its counts say (15,000: 11 s)."""
_MAX_COUNT: Final = 64
"""What a count of a pattern that is too large may still say."""
_ENOUGH: Final = 10**9
"""Nothing counts more: the numbers would grow with each count, and so would the time to multiply them."""


def written_out(pattern: str) -> int:
    """Characters and classes in it, those of a group as often as it is asked for; at least 1.

    A pattern that is no regular expression gets a number, too: the engine says what is wrong with it.
    """
    groups = [0]
    last = 0  # size of what a count would repeat, which is part of groups[-1] already
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        if text == "(":
            groups.append(0)
            last = 0
        elif text == ")" and len(groups) > 1:
            last = max(groups.pop(), 1)
            groups[-1] += last
        elif (count := token[2] or token[1] or token[3]) is not None:
            times = max(int(count), 1)
            groups[-1] += min(last * (times - 1), _ENOUGH)
            last = min(last * times, _ENOUGH)
        elif text not in "|*+?^$":
            last = 1
            groups[-1] += 1
    return max(sum(groups), 1)


def bounded(pattern: str) -> str | None:
    """The pattern, or one that allows more where its counts make it too large; None where it stays too large."""
    if written_out(pattern) <= MAX_PATTERN:
        return pattern
    wider = _TOKEN.sub(_widened, pattern)
    return wider if written_out(wider) <= MAX_PATTERN else None


def _widened(token: re.Match[str]) -> str:
    """A large count without its upper end."""
    low, high = int(token[1] or 0), int(token[2] or token[3] or 0)
    return f"{{{min(low, _MAX_COUNT)},}}" if max(low, high) > _MAX_COUNT else token[0]

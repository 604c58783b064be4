"""Joins the lines of a Python traceback into one record of the log. Pure.

What vLLM logs arrives as whole records; what Python prints when a process dies arrives line by line, from several
processes in one pipe, each line with the same prefix in front (``(EngineCore pid=7) ``, ``[rank0]: ``).
"""

from __future__ import annotations

import re
from typing import Final

_PREFIX: Final = re.compile(r"(?:\(\w+(?: pid=\d+)?\) ?)?(?:\[rank\d+\]: ?)?")
_BEGIN: Final = "Traceback (most recent call last):"
_LINKS: Final = ("The above exception was the direct cause", "During handling of the above exception")
_MOST_LINES: Final = 500


class Tracebacks:
    """Feed it every line of one pipe."""

    def __init__(self) -> None:
        self._open: dict[str, list[str]] = {}

    def feed(self, line: str) -> list[str]:
        """What is complete now: the line itself, a whole traceback, or nothing yet."""
        prefix = _PREFIX.match(line)
        key = prefix[0] if prefix else ""
        text = line[len(key) :]
        block = self._open.get(key)
        if block is None:
            if not text.startswith(_BEGIN):
                return [line]
            self._open[key] = [text]
            return []
        block.append(text)
        if _continues(text) and len(block) < _MOST_LINES:
            return []
        del self._open[key]
        return ["\n".join(block)]

    def rest(self) -> list[str]:
        """What the end of the pipe has cut off."""
        blocks = ["\n".join(block) for block in self._open.values()]
        self._open.clear()
        return blocks


def is_traceback(text: str) -> bool:
    """Whether a record is one that ``Tracebacks`` put together."""
    return text.startswith(_BEGIN)


def _continues(text: str) -> bool:
    """Frames are indented; the line with the exception's name ends it."""
    return not text.strip() or text[0].isspace() or text.startswith((_BEGIN, *_LINKS))

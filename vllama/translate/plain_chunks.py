"""Knows the chunk that nearly all of a long answer's are, and takes its text out without parsing the rest. Pure.

The engine writes one answer's plain chunks alike but for the text. So what stands before and behind the text of one
that was parsed is compared, byte by byte, with the next; where both are the same and there is one JSON string without
escapes between them, that string is all that differs.
"""

from __future__ import annotations

import orjson

_KEY = b'"delta":{"content":'
"""Behind it the text begins: unescaped quotes stand nowhere within a string."""


class PlainChunks:
    """An instance per answer."""

    __slots__ = ("_after", "_before")

    def __init__(self) -> None:
        self._before = b""
        self._after = b""

    def learn(self, payload: bytes, content: str) -> None:
        """``payload`` was parsed and is plain: it holds one choice and ``content`` is all that its delta says."""
        at = payload.find(_KEY) + len(_KEY)
        text = orjson.dumps(content)
        if at >= len(_KEY) and payload.startswith(text, at):
            self._before, self._after = payload[:at], payload[at + len(text) :]

    def text(self, payload: bytes) -> str:
        """The text of a chunk like the one that was learnt; empty where it has to be parsed. Raises ValueError."""
        before, after = self._before, self._after
        if not before or not payload.startswith(before) or not payload.endswith(after):
            return ""
        string = payload[len(before) : -len(after)]
        if b"\\" in string or string.count(b'"') != 2 or string[:1] != b'"' or string[-1:] != b'"':
            return ""
        return string[1:-1].decode()

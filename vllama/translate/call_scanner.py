"""Finds tool calls in a text that a model writes: the name of a tool and a JSON object of arguments. Pure.

Models write calls in many forms (``{"name": "f", "arguments": {}}``, ``f {}``, ``[{"name": …}]``); as Ollama does,
any object is looked at once it is whole, together with the first tool name that stands in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

Found = tuple[str, dict[str, Any]]
_ENDS: Final = re.compile(r"[^}\]]*[}\]]|[^}\]]+")
_CLOSING: Final = {"{": "}", "[": "]"}
_DEEPEST: Final = 20
"""Levels of a written object that are searched for arguments."""


class CallScanner:
    """Feed text; each whole call comes out once. Every character is looked at once for brackets.

    ``bracket``: where the calls are marked by ``{`` or ``[`` alone, so that what closes it may have been plain text.
    """

    def __init__(self, tools: Sequence[str], *, bracket: str = "") -> None:
        self._tools = tuple(tool for tool in tools if tool)
        self._open = bracket
        self._close = _CLOSING.get(bracket, "")
        self._text = ""
        self._clear()
        self.closed = False
        """The bracket is closed, and what stands in it is no call."""

    def feed(self, text: str) -> list[Found]:
        """Calls that ``text`` completes; after ``closed`` the rest of it stands in ``rest``."""
        out: list[Found] = []
        # looked at after each brace, so that it makes no difference how the text is cut
        for part in _ENDS.findall(text):
            self._text += part
            if not self.closed:
                out += self._calls()
                self._note_closed()
        return out

    def end(self) -> list[Found]:
        """Calls that waited for what a name might become."""
        return [] if self.closed else self._calls(last=True)

    def rest(self) -> str:
        """What has not become a call."""
        rest, self._text = self._text, ""
        self._clear()
        return rest

    def _calls(self, *, last: bool = False) -> list[Found]:
        out: list[Found] = []
        while (call := self._next(last=last)) is not None:
            out.append(call)
        return out

    def _clear(self) -> None:
        """Begin at the head of what is left."""
        self._at = 0
        self._depth = 0
        self._start = -1
        self._quoted = False
        self._escaped = False
        self._object: tuple[dict[str, Any], int] | None = None
        self._counted = 0
        self._balance = 0

    def _next(self, *, last: bool) -> Found | None:
        if self._object is None:
            self._object = self._find_object()
        if self._object is None:
            return None
        named = self._find_name(last=last)
        if named is None:
            return None
        name, end = named
        written, closing = self._object
        # the closing brace stays: it is nothing to what follows
        self._text = self._text[max(end, closing) :]
        self._clear()
        return name, _arguments(written, name)

    def _find_object(self) -> tuple[dict[str, Any], int] | None:
        """The next whole JSON object and the place of its last brace."""
        text = self._text
        for at in range(self._at, len(text)):
            char = text[at]
            if self._escaped:
                self._escaped = False
            elif char == "\\":
                self._escaped = True
            elif char == '"':
                self._quoted = not self._quoted
            elif self._quoted:
                continue
            elif char == "{":
                if self._depth == 0:
                    self._start = at
                self._depth += 1
            elif char == "}":
                self._depth = max(self._depth - 1, 0)
                if self._depth == 0 and self._start >= 0:
                    found = _json_object(text[self._start : at + 1])
                    if found is not None:
                        self._at = at + 1
                        return found, at
                    self._start = -1
        self._at = len(text)
        return None

    def _find_name(self, *, last: bool) -> tuple[str, int] | None:
        """The first tool that the text names (the longest of those that begin there) and where its name ends.

        None while the text ends in the beginning of a name, unless it is the last: ``get`` may become ``get_weather``.
        """
        text = self._text
        longest = max((len(tool) for tool in self._tools), default=0)
        for length in range(1, min(longest, len(text)) + 1):
            tail = text[-length:]
            if not last and any(length < len(tool) and tool.startswith(tail) for tool in self._tools):
                return None
        places = [(text.find(tool), -len(tool), tool) for tool in self._tools]
        found = min((place for place in places if place[0] >= 0), default=None)
        return None if found is None else (found[2], found[0] - found[1])

    def _note_closed(self) -> None:
        if not self._open:
            return
        for at in range(self._counted, len(self._text)):
            if self._text[at] == self._open:
                self._balance += 1
            elif self._text[at] == self._close:
                self._balance -= 1
                if self._balance == 0:
                    self.closed = True
        self._counted = len(self._text)


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _arguments(written: dict[str, Any], name: str) -> dict[str, Any]:
    """The arguments in an object: those of its ``arguments`` or ``parameters``, or of its tool's name, or itself."""
    found = _look_into(written, name)
    return written if found is None else found


def _look_into(written: Mapping[str, Any], name: str, depth: int = 0) -> dict[str, Any] | None:
    if depth > _DEEPEST:
        return None
    if "name" in written:
        return _as_object(written.get("arguments")) or _as_object(written.get("parameters")) or {}
    if (found := _as_object(written.get(name))) is not None:
        return found
    for value in written.values():
        for inner in value if isinstance(value, list) else (value,):
            if isinstance(inner, dict) and (found := _look_into(inner, name, depth + 1)) is not None:
                return found
    return None


def _as_object(value: Any) -> dict[str, Any] | None:
    """An object, or the text of one."""
    if isinstance(value, str):
        return _json_object(value)
    return value if isinstance(value, dict) else None

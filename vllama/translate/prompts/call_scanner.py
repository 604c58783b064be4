"""Finds tool calls in a text that a model writes: the name of a tool and a JSON object of arguments. Pure.

Models write calls in many forms (``{"name": "f", "arguments": {}}``, ``f {}``, ``[{"name": …}]``); as Ollama does,
any object is looked at once it is whole, together with the first tool name that stands in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, Final

import orjson

Found = tuple[str, dict[str, Any]]
_ENDS: Final = re.compile(r"[^}\]]*[}\]]|[^}\]]+")
_CLOSING: Final = {"{": "}", "[": "]"}
_DEEPEST: Final = 20
"""Levels of a written object that are searched for arguments."""


class CallScanner:
    """Feed text; each whole call comes out once. Every character is looked at once for brackets, and once for names.

    ``bracket``: where the calls are marked by ``{`` or ``[`` alone, so that what closes it may have been plain text.
    """

    def __init__(self, tools: Sequence[str], *, bracket: str = "") -> None:
        self._names = _Names(tools)
        self._open = bracket
        self._close = _CLOSING.get(bracket, "")
        self._text = _Text()
        self._clear(0)
        self.closed = False
        """The bracket is closed, and what stands in it is no call."""

    def feed(self, text: str) -> list[Found]:
        """Calls that ``text`` completes; after ``closed`` the rest of it stands in ``rest``."""
        out: list[Found] = []
        # looked at after each brace, so that it makes no difference how the text is cut
        for part in _ENDS.findall(text):
            self._text.add(part)
            if not self.closed:
                out += self._calls()
                self._note_closed()
        return out

    def end(self) -> list[Found]:
        """Calls that waited for what a name might become."""
        return [] if self.closed else self._calls(last=True)

    def rest(self) -> str:
        """What has not become a call."""
        rest = self._text.between(self._begin, self._text.length)
        self._clear(self._text.length)
        return rest

    def _calls(self, *, last: bool = False) -> list[Found]:
        out: list[Found] = []
        while (call := self._next(last=last)) is not None:
            out.append(call)
        return out

    def _clear(self, begin: int) -> None:
        """What is left begins there."""
        self._begin = self._at = self._counted = begin
        self._depth = 0
        self._start = -1
        self._quoted = False
        self._escaped = False
        self._object: tuple[dict[str, Any], int] | None = None
        self._balance = 0
        self._names.begin(begin)

    def _next(self, *, last: bool) -> Found | None:
        if self._object is None:
            self._object = self._find_object()
        if self._object is None:
            return None
        named = self._names.first(self._text, last=last)
        if named is None:
            return None
        name, end = named
        written, closing = self._object
        # the closing brace stays: it is nothing to what follows
        self._clear(max(end, closing))
        return name, _arguments(written, name)

    def _find_object(self) -> tuple[dict[str, Any], int] | None:
        """The next whole JSON object and the place of its last brace."""
        for at, char in enumerate(self._text.between(self._at, self._text.length), self._at):
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
                    found = _json_object(self._text.between(self._start, at + 1))
                    if found is not None:
                        self._at = at + 1
                        return found, at
                    self._start = -1
        self._at = self._text.length
        return None

    def _note_closed(self) -> None:
        if not self._open:
            return
        for char in self._text.between(self._counted, self._text.length):
            if char == self._open:
                self._balance += 1
            elif char == self._close:
                self._balance -= 1
                if self._balance == 0:
                    self.closed = True
        self._counted = self._text.length


class _Text:
    """A text that grows by little pieces, each of which costs only itself."""

    __slots__ = ("_buffer", "length")

    def __init__(self) -> None:
        self._buffer = StringIO()
        self.length = 0

    def add(self, text: str) -> None:
        self._buffer.seek(self.length)
        self._buffer.write(text)
        self.length += len(text)

    def between(self, begin: int, end: int) -> str:
        self._buffer.seek(begin)
        return self._buffer.read(end - begin)


class _Names:
    """Finds the first tool that a growing text names: the longest of those that begin at one place."""

    __slots__ = ("_begin", "_first", "_firsts", "_longest", "_searched", "_tools")

    def __init__(self, tools: Sequence[str]) -> None:
        self._tools = sorted({tool for tool in tools if tool})
        self._firsts = frozenset(tool[0] for tool in self._tools)
        self._longest = max(map(len, self._tools), default=0)

    def begin(self, at: int) -> None:
        """Nothing before ``at`` counts any more."""
        self._begin = self._searched = at
        self._first: tuple[int, int, str] | None = None

    def first(self, text: _Text, *, last: bool) -> tuple[str, int] | None:
        """The tool and where its name ends.

        None while the text ends in the beginning of a name, unless it is the last: ``get`` may become ``get_weather``.
        """
        start = max(self._begin, self._searched - self._longest + 1)
        new = text.between(start, text.length)
        if not last and self._continues(text.between(max(self._begin, text.length - self._longest), text.length)):
            return None
        self._searched = text.length
        places = [(start + at, -len(tool), tool) for tool in self._tools if (at := new.find(tool)) >= 0]
        if self._first is not None:
            places.append(self._first)
        self._first = min(places, default=None)
        return None if self._first is None else (self._first[2], self._first[0] - self._first[1])

    def _continues(self, tail: str) -> bool:
        """May the end of the text become a name, or a longer one?"""
        return any(self._begins(tail[at:]) for at, char in enumerate(tail) if char in self._firsts)

    def _begins(self, text: str) -> bool:
        """Is there a tool that begins so and is longer?"""
        at = bisect_right(self._tools, text)
        return at < len(self._tools) and self._tools[at].startswith(text)


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

"""Puts vLLM's pieces of tool calls together: a client gets a call once and whole. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson

from vllama.errors import EngineError
from vllama.quoting import excerpt
from vllama.translate.pieces import ToolCall

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class CallAssembler:
    """Collects the deltas of one answer. A call is whole when the next one begins or the answer ends.

    ``offered``: the names of the client's tools. If a tool has no name, a call to an unknown name is taken as
    a call to that tool, and its name is left empty.
    """

    __slots__ = ("_arguments", "_id", "_index", "_made", "_name", "_offered", "begun")

    def __init__(self, offered: Collection[str] = ()) -> None:
        self.begun = False
        self._offered = offered
        self._index: int | None = None
        self._id = ""
        self._name = ""
        self._arguments: list[str] = []
        self._made = 0

    def add(self, deltas: Iterable[Mapping[str, Any]]) -> tuple[ToolCall, ...]:
        """Calls that these deltas complete; raises EngineError when the model wrote arguments that are no object."""
        out: tuple[ToolCall, ...] = ()
        for delta in deltas:
            self.begun = True
            if delta["index"] != self._index:
                out += self._close(cut=False)
                self._index = delta["index"]
            function = delta.get("function") or {}
            self._id = delta.get("id") or self._id
            self._name += function.get("name") or ""
            self._arguments.append(function.get("arguments") or "")
        return out

    def end(self, *, cut: bool) -> tuple[ToolCall, ...]:
        """The last call. ``cut``: the token limit came first, so that an incomplete call is dropped."""
        return self._close(cut=cut)

    def _close(self, *, cut: bool) -> tuple[ToolCall, ...]:
        if self._index is None:
            return ()
        text = "".join(self._arguments)
        self._index, self._arguments = None, []
        name, self._name = self._name, ""
        if "" in self._offered and name not in self._offered:
            name = ""
        call_id, self._id = self._id, ""
        try:
            arguments = orjson.loads(text) if text.strip() else {}
        except orjson.JSONDecodeError as error:
            if cut:
                return ()
            raise EngineError("error parsing tool call: ", quoted=f"raw='{excerpt(text)}', err={error}") from None
        if not isinstance(arguments, dict):
            if cut:
                return ()
            raise EngineError(f"error parsing tool call: raw='{excerpt(text)}', err=the arguments are not an object")
        call = ToolCall(id=short_id(call_id), index=self._made, name=name, arguments=arguments)
        self._made += 1
        return (call,)


def short_id(engine_id: str) -> str:
    """``call_`` and eight letters or digits, as clients know it; unique as the engine's own id is."""
    number = int.from_bytes(hashlib.blake2b(engine_id.encode(), digest_size=8).digest(), "big")
    text = ""
    for _ in range(8):
        number, digit = divmod(number, len(_LETTERS))
        text += _LETTERS[digit]
    return f"call_{text}"

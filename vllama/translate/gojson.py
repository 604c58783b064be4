"""Reads request bodies the way Go's ``encoding/json`` does, so that clients see Ollama's errors (contract 1.4). Pure.

A request type is described once by a shape; ``decode`` turns a body into a plain dict with every field present::

    CHAT = struct("ChatRequest", "api.ChatRequest", {"model": STRING, "stream": pointer(BOOL), "options": MAP})
    decode(b'{"Model":"x"} garbage', CHAT) == {"model": "x", "stream": None, "options": {}}

What Go does and this does: only the first value is read; keys match without case; ``null`` means "not given"; unknown
keys are ignored; a later duplicate wins; the first wrong type is told, unless a type with a reader of its own
(``custom``, ``boxed``) fails, which is told at once.

The body goes through orjson; only when that or a shape refuses, it is read again slowly to find Go's exact words.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from vllama.errors import BadRequest
from vllama.translate.extent import TOO_DEEP, check_extent, check_nesting
from vllama.translate.goshapes import (
    ANY,
    BOOL,
    FLOAT,
    FLOAT32,
    INT,
    MAP,
    STRING,
    Mismatch,
    Number,
    Pairs,
    Refused,
    Shape,
    Trace,
    boxed,
    bytes_type,
    checked,
    custom,
    fold,
    kind_of,
    map_of,
    object_type,
    pointer,
    slice_of,
    struct,
    unless,
)
from vllama.translate.gosyntax import UNEXPECTED_EOF, JsonSyntaxError, NoValue, first_value, go_quote_char
from vllama.translate.gotypes import GoValueError

__all__ = [
    "ANY",
    "BOOL",
    "FLOAT",
    "FLOAT32",
    "INT",
    "MAP",
    "STRING",
    "GoValueError",
    "Mismatch",
    "Shape",
    "Trace",
    "boxed",
    "bytes_type",
    "checked",
    "custom",
    "decode",
    "kind_of",
    "map_of",
    "object_type",
    "pointer",
    "raw_member",
    "slice_of",
    "struct",
    "unless",
    "unmarshal",
    "unmarshal_text",
]

_NO_END = "unexpected end of JSON input"
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}", re.ASCII)
_MAX_ESCAPES = 500_000  # json takes half a second for them, in which no other thread runs


def decode(data: bytes, shape: Shape, *, empty: str = "missing request body") -> Any:
    """Read a body by a ``struct`` shape into a dict; raises BadRequest (400) with Go's text.

    ``empty`` is the text for a body without any value.
    """
    check_extent(data)
    start, end = 0, 0
    try:
        value = orjson.loads(data)
        end = len(data)
        check_nesting(data, value)
        return shape.zero() if value is None else shape.read(value, Trace(exact=False))
    except (orjson.JSONDecodeError, Refused):
        if data.count(b"\\") > _MAX_ESCAPES:
            raise BadRequest("the request can't be read, and holds too many escapes to say why") from None
    try:
        if not end:
            start, end = first_value(data)
        return _decode_exactly(data[start:end], shape)
    except NoValue:
        raise BadRequest(empty) from None
    except (JsonSyntaxError, GoValueError) as error:
        raise BadRequest(str(error)) from None


def unmarshal(value: Any, shape: Shape) -> Any:
    """Read a value that was taken for anything at first; raises GoValueError."""
    trace = Trace(exact=True)
    out = shape.zero() if value is None else shape.read(value, trace)
    try:
        if trace.saved:
            raise trace.saved
    finally:
        del trace  # it holds the error, whose traceback holds this frame: the body would live on in a circle
    return out


def unmarshal_text(data: bytes, shape: Shape) -> Any:
    """Read a text that must be one JSON value and nothing else; raises ValueError with Go's words.

    Raises BadRequest for one that is too large or too deep.
    """
    check_extent(data)
    try:
        start, end = first_value(data)
    except NoValue:
        raise ValueError(_NO_END) from None
    except JsonSyntaxError as error:
        raise ValueError(str(error).replace(UNEXPECTED_EOF, _NO_END)) from None
    if rest := data[end:].lstrip(b" \t\r\n"):
        raise ValueError(f"invalid character {go_quote_char(rest[0])} after top-level value")
    return _decode_exactly(data[start:end], shape)


def raw_member(data: bytes, name: str) -> bytes:
    """The bytes of a body's top-level member as the client wrote them (Go's ``RawMessage``); empty when absent."""
    start, end = first_value(data)
    found = b""
    at = data.index(b"{", start, end) + 1
    while data[at := _skip(data, at, b" \t\r\n,")] == ord('"'):
        key_end = first_value(data, at)[1]
        key = json.loads(data[at:key_end].decode("utf-8", "replace"))
        begin = _skip(data, key_end, b" \t\r\n:")
        at = first_value(data, begin)[1]
        if fold(key) == fold(name):
            found = data[begin:at]
    return found


def _decode_exactly(data: bytes, shape: Shape) -> Any:
    text = _without_halves(data.decode("utf-8", "replace"))
    try:
        value = json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=Pairs)
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None
    check_nesting(data, value)
    return unmarshal(value, shape)


def _without_halves(text: str) -> str:
    """Half a surrogate pair becomes U+FFFD, as in Go."""
    if "\\u" not in text:
        return text
    bare = text.replace(r"\\", "\0")  # which stands in no valid JSON; now every backslash begins an escape
    return _LONE.sub("\ufffd", bare).replace("\0", r"\\")


def _skip(data: bytes, at: int, chars: bytes) -> int:
    while data[at] in chars:
        at += 1
    return at

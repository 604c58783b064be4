"""The native API's request types, as Ollama declares them (contract 1.4, 3 and 5). Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from vllama.quoting import excerpt
from vllama.translate.extent import MAX_VALUES
from vllama.translate.gojson import (
    ANY,
    BOOL,
    INT,
    MAP,
    STRING,
    GoValueError,
    Mismatch,
    Shape,
    boxed,
    bytes_type,
    checked,
    custom,
    kind_of,
    map_of,
    object_type,
    pointer,
    slice_of,
    struct,
    unless,
)
from vllama.translate.gotypes import parse_duration
from vllama.translate.pieces import Message, ToolCall

FOREVER: Final = math.inf
_LONGEST: Final = (2**63 - 1) / 1e9  # seconds; what is longer overflows in Go and means forever here
_EFFORTS: Final = ("high", "medium", "low", "max")
_NO_OBJECT: Final = "Value looks like object, but can't find closing '}' symbol"


def _keep_alive(value: Any) -> float:
    """Seconds; negative is forever."""
    if isinstance(value, str):
        seconds = _whole_nanoseconds(parse_duration(value))
    elif isinstance(value, bool):
        raise GoValueError("Unsupported type: 'bool'")
    elif isinstance(value, int | float):
        seconds = -1.0 if value < 0 or value > _LONGEST else _whole_nanoseconds(float(value))
    elif isinstance(value, list):
        raise GoValueError("Unsupported type: '[]interface {}'")
    else:
        raise GoValueError("Unsupported type: 'map[string]interface {}'")
    return FOREVER if seconds < 0 or seconds > _LONGEST else seconds


def _whole_nanoseconds(seconds: float) -> float:
    """Go counts no less: what is below one of them is 0, and that unloads."""
    return math.trunc(seconds * 1e9) / 1e9


def _think(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    choices = '"high", "medium", "low", "max", true, or false'
    if not isinstance(value, str):
        raise GoValueError(f"think must be a boolean or string ({choices})")
    if value not in _EFFORTS:
        raise GoValueError(f'invalid think value: "{excerpt(value)}" (must be {choices})')
    return value


KEEP_ALIVE: Final = custom("api.Duration", _keep_alive)
"""Seconds, FOREVER, or None when it isn't given."""
THINK: Final = custom("api.ThinkValue", _think)
IMAGES: Final = slice_of(bytes_type("api.ImageData"))
ARGUMENTS: Final = object_type("api.ToolCallFunctionArguments", ANY, _NO_OBJECT)

_CALL: Final = struct(
    "ToolCall",
    "api.ToolCall",
    {
        "id": STRING,
        "function": struct(
            "ToolCallFunction", "api.ToolCallFunction", {"index": INT, "name": STRING, "arguments": ARGUMENTS}
        ),
    },
)


def _message(fields: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(
            id=call["id"],
            index=call["function"]["index"],
            name=call["function"]["name"],
            arguments=call["function"]["arguments"],
        )
        for call in fields["tool_calls"]
    )
    return Message(
        role=fields["role"].lower(),
        content=fields["content"],
        thinking=fields["thinking"],
        images=tuple(image for image in fields["images"] if image),
        tool_calls=calls,
        tool_name=fields["tool_name"],
        tool_call_id=fields["tool_call_id"],
    )


_ALIAS: Final = struct(
    "Alias",
    "api.Alias",
    {
        "role": STRING,
        "content": STRING,
        "thinking": STRING,
        "images": IMAGES,
        "tool_calls": slice_of(_CALL),
        "tool_name": STRING,
        "tool_call_id": STRING,
    },
)
MESSAGES: Final = slice_of(boxed(_ALIAS, _message), "[]api.Message")
"""A list of ``pieces.Message``."""


def _property_type(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise Mismatch(kind_of(value), "[]string")
    for name in value:
        if name is not None and not isinstance(name, str):
            raise Mismatch(kind_of(name), "string")
    return value


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_empty_list(value: Any) -> bool:
    return isinstance(value, list) and not value


def says_nothing(value: Any) -> bool:
    """Is it a schema without a word, which Ollama can't read: ``true``, ``false``, or PHP's empty map?"""
    return _is_bool(value) or _is_empty_list(value)


def _is_types(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


_PROPERTY_FIELDS: dict[str, Shape] = {}
# JSON Schema's own words, which Ollama can't read: true and false are schemas, and so each is a member's
_PROPERTY: Final = unless(_is_bool, struct("ToolProperty", "api.ToolProperty", _PROPERTY_FIELDS))
_PROPERTIES: Final = pointer(
    unless(_is_empty_list, object_type("api.ToolPropertiesMap", _PROPERTY, _NO_OBJECT))  # PHP's empty map
)
_REQUIRED: Final = unless(_is_bool, slice_of(STRING))  # once it stood in the member itself
_PROPERTY_FIELDS |= {
    "anyOf": slice_of(_PROPERTY),
    "type": custom("api.PropertyType", _property_type),
    "items": ANY,
    "description": STRING,
    "enum": slice_of(ANY),
    "properties": _PROPERTIES,
    "required": _REQUIRED,
}
PARAMETERS: Final = unless(
    says_nothing,
    struct(
        "ToolFunctionParameters",
        "api.ToolFunctionParameters",
        {
            "type": unless(_is_types, STRING),
            "$defs": ANY,
            "items": ANY,
            "required": _REQUIRED,
            "properties": _PROPERTIES,
        },
    ),
)
_FUNCTION: Final = struct(
    "ToolFunction", "api.ToolFunction", {"name": STRING, "description": STRING, "parameters": PARAMETERS}
)
TOOL: Final = struct("Tool", "api.Tool", {"type": STRING, "items": ANY, "function": _FUNCTION})
TOOLS: Final = checked(slice_of(TOOL, "api.Tools"))
"""Checked like Ollama's, handed on whole: it drops most keywords of a schema, vLLM understands them."""

_ASKING: Final = {
    "model": STRING,
    "stream": pointer(BOOL),
    "format": ANY,
    "keep_alive": KEEP_ALIVE,
    "options": MAP,
    "think": THINK,
    "truncate": pointer(BOOL),
    "shift": pointer(BOOL),
    "_debug_render_only": BOOL,
    "logprobs": BOOL,
    "top_logprobs": INT,
}
CHAT: Final = struct("ChatRequest", "api.ChatRequest", {**_ASKING, "messages": MESSAGES, "tools": TOOLS})
GENERATE: Final = struct(
    "GenerateRequest",
    "api.GenerateRequest",
    {
        **_ASKING,
        "prompt": STRING,
        "suffix": STRING,
        "system": STRING,
        "template": STRING,
        "context": slice_of(INT, most=MAX_VALUES),
        "raw": BOOL,
        "images": IMAGES,
    },
)
EMBED: Final = struct(
    "EmbedRequest",
    "api.EmbedRequest",
    {
        "model": STRING,
        "input": ANY,
        "keep_alive": KEEP_ALIVE,
        "truncate": pointer(BOOL),
        "dimensions": INT,
        "options": MAP,
    },
)
EMBEDDING: Final = struct(
    "EmbeddingRequest",
    "api.EmbeddingRequest",
    {"model": STRING, "prompt": STRING, "keep_alive": KEEP_ALIVE, "options": MAP},
)
SHOW: Final = struct(
    "ShowRequest",
    "api.ShowRequest",
    {"model": STRING, "system": STRING, "template": STRING, "verbose": BOOL, "options": MAP, "name": STRING},
)
_TRANSFER: Final = {
    "model": STRING,
    "insecure": BOOL,
    "username": STRING,
    "password": STRING,
    "stream": pointer(BOOL),
    "name": STRING,
}
PULL: Final = struct("PullRequest", "api.PullRequest", _TRANSFER)
PUSH: Final = struct("PushRequest", "api.PushRequest", _TRANSFER)
DELETE: Final = struct("DeleteRequest", "api.DeleteRequest", {"model": STRING, "name": STRING})
COPY: Final = struct("CopyRequest", "api.CopyRequest", {"source": STRING, "destination": STRING})
CREATE: Final = struct(
    "CreateRequest",
    "api.CreateRequest",
    {
        "model": STRING,
        "stream": pointer(BOOL),
        "quantize": STRING,
        "from": STRING,
        "remote_host": STRING,
        "files": pointer(map_of(STRING)),
        "adapters": map_of(STRING),
        "draft_files": map_of(STRING),
        "draft_quantize": STRING,
        "template": STRING,
        "license": ANY,
        "system": STRING,
        "parameters": MAP,
        "messages": MESSAGES,
        "renderer": STRING,
        "parser": STRING,
        "requires": STRING,
        "info": MAP,
        "name": STRING,
        "quantization": STRING,
    },
)

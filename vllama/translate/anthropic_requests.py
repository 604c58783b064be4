"""Anthropic's message requests as calls of ours (contract 7.1). Pure.

Ollama's rules; beyond them ``tool_choice`` and ``output_config.format`` are honoured, and tool results carry the name
of their tool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vllama.errors import BadRequest
from vllama.translate.gojson import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    MAP,
    STRING,
    GoValueError,
    Shape,
    Trace,
    boxed,
    decode,
    pointer,
    slice_of,
    struct,
    unmarshal,
)
from vllama.translate.gotypes import check_base64
from vllama.translate.native import ARGUMENTS, PARAMETERS
from vllama.translate.pieces import ChatCall, Message, ToolCall

_SOURCE = struct(
    "ImageSource", "anthropic.ImageSource", {"type": STRING, "media_type": STRING, "data": STRING, "url": STRING}
)
_BLOCKS = slice_of(
    struct(
        "ContentBlock",
        "anthropic.ContentBlock",
        {
            "type": STRING,
            "text": STRING,
            "source": pointer(_SOURCE),
            "id": STRING,
            "name": STRING,
            "input": ARGUMENTS,
            "tool_use_id": STRING,
            "content": ANY,
            "is_error": BOOL,
            "thinking": STRING,
        },
    )
)
_ENVELOPE = boxed(struct("MessageParam", "anthropic.MessageParam", {"role": STRING, "content": ANY}))


def _read_message(value: Any, trace: Trace) -> Any:
    """Role and blocks; a text is one block. The blocks are read apart, so that their errors don't name ``content``."""
    message = _ENVELOPE.read(value, trace)
    content = message["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    try:
        message["content"] = unmarshal(content, _BLOCKS)
    except GoValueError as error:
        raise trace.stop(error) from None
    return message


_MESSAGE = Shape("anthropic.MessageParam", lambda: {"role": "", "content": []}, _read_message)
_TOOL = struct(
    "Tool",
    "anthropic.Tool",
    {"type": STRING, "name": STRING, "description": STRING, "input_schema": ANY},
)
_CHOICE = struct(
    "ToolChoice", "anthropic.ToolChoice", {"type": STRING, "name": STRING, "disable_parallel_tool_use": BOOL}
)
_MESSAGES = struct(
    "MessagesRequest",
    "anthropic.MessagesRequest",
    {
        "model": STRING,
        "max_tokens": INT,
        "messages": slice_of(_MESSAGE),
        "system": ANY,
        "stream": BOOL,
        "temperature": pointer(FLOAT),
        "top_p": pointer(FLOAT),
        "top_k": pointer(INT),
        "stop_sequences": slice_of(STRING),
        "tools": slice_of(_TOOL),
        "tool_choice": pointer(_CHOICE),
        "thinking": pointer(
            struct("ThinkingConfig", "anthropic.ThinkingConfig", {"type": STRING, "budget_tokens": INT})
        ),
        "metadata": pointer(struct("Metadata", "anthropic.Metadata", {"user_id": STRING})),
        "output_config": pointer(
            struct("OutputConfig", "anthropic.OutputConfig", {"effort": STRING, "format": pointer(MAP)})
        ),
    },
)
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "max"}
_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A decoded request to ``/v1/messages``."""

    model: str
    call: ChatCall
    stream: bool
    parallel_calls: bool
    input_estimate: int
    """Rough prompt tokens (characters by four), for the start of a stream."""


def read_messages(body: bytes, *, counting: bool = False) -> MessagesRequest:
    """Decode and check a request body; raises BadRequest. ``counting``: ``max_tokens`` isn't asked for."""
    fields = decode(body, _MESSAGES, empty="EOF")
    if not fields["model"]:
        raise BadRequest("model is required")
    if fields["max_tokens"] <= 0 and not counting:
        raise BadRequest("max_tokens is required and must be positive")
    if not fields["messages"]:
        raise BadRequest("messages is required")
    system = _system(fields["system"])
    tools = tuple(_tool(tool) for tool in fields["tools"] if not tool["type"].startswith("web_search"))
    choice = fields["tool_choice"] or {}
    call = ChatCall(
        messages=((Message("system", system),) if system else ()) + _messages(fields["messages"]),
        tools=tools,
        tool_choice=_tool_choice(choice) if tools and choice else None,
        think=_think(fields),
        format=_format(fields["output_config"]),
        options=_options(fields),
    )
    return MessagesRequest(
        model=fields["model"],
        call=call,
        stream=fields["stream"],
        parallel_calls=not choice.get("disable_parallel_tool_use"),
        input_estimate=_estimate(call),
    )


def _options(fields: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: fields[name] for name in ("temperature", "top_p", "top_k") if fields[name] is not None}
    if fields["max_tokens"] > 0:
        options["num_predict"] = fields["max_tokens"]
    if fields["stop_sequences"]:
        options["stop"] = fields["stop_sequences"]
    return options


def _think(fields: Mapping[str, Any]) -> bool | str | None:
    kind = (fields["thinking"] or {}).get("type")
    if kind in {"enabled", "disabled"}:
        return bool(kind == "enabled")
    return _EFFORTS.get((fields["output_config"] or {}).get("effort", ""))


def _format(output: Mapping[str, Any] | None) -> Any:
    wanted = (output or {}).get("format") or {}
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _system(system: Any) -> str:
    if isinstance(system, list):
        return "".join(_text(block) for block in system if isinstance(block, dict) and block.get("type") == "text")
    return system if isinstance(system, str) else ""


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    schema = tool["input_schema"]
    try:
        unmarshal(schema, PARAMETERS)
    except GoValueError as error:
        raise BadRequest(f'invalid input_schema for tool "{tool["name"]}": {error}') from None
    function: dict[str, Any] = {"name": tool["name"]}
    if tool["description"]:
        function["description"] = tool["description"]
    function["parameters"] = schema or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _tool_choice(choice: Mapping[str, Any]) -> Any:
    if choice["type"] == "tool":
        return {"type": "function", "function": {"name": choice["name"]}}
    if choice["type"] not in _TOOL_CHOICES:
        raise BadRequest('invalid tool_choice type (must be "auto", "any", "tool", or "none")')
    return _TOOL_CHOICES[choice["type"]]


def _estimate(call: ChatCall) -> int:
    """Ollama's: the characters of everything, by four."""
    length = sum(
        len(message.role) * (message.role != "tool") + len(message.content) + len(message.thinking)
        for message in call.messages
    )
    for tool in call.tools:
        function = tool["function"]
        length += len(function["name"]) + len(function.get("description", ""))
        length += len(orjson.dumps(function["parameters"]))
    return length // 4


# --------------------------------------------------------------------------------------------- messages


def _messages(given: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    out: list[Message] = []
    names: dict[str, str] = {}
    for message in given:
        out.extend(_turns(message["role"], message["content"], names))
    return tuple(out)


def _turns(role: str, blocks: Sequence[Mapping[str, Any]], names: dict[str, str]) -> list[Message]:
    """The turns of one message: its tool results first, then what was said; ``names`` learns the calls' names.

    A message that says nothing is no turn.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    images: list[str] = []
    calls: list[ToolCall] = []
    results: list[Message] = []
    for block in blocks:
        kind = block["type"]
        if kind == "text":
            texts.append(block["text"])
        elif kind == "thinking":
            thoughts.append(block["thinking"])
        elif kind == "image":
            images.append(_image(block))
        elif kind in {"tool_use", "server_tool_use"}:
            call = _call(len(calls), block)
            names[call.id] = call.name
            calls.append(call)
        elif kind in {"tool_result", "web_search_tool_result"}:
            results.append(_result(block, names))
    said = Message(role, "".join(texts), "".join(thoughts), tuple(images), tuple(calls))
    spoke = said.content or said.thinking or images or calls
    return [*results, said] if spoke else results


def _call(index: int, block: Mapping[str, Any]) -> ToolCall:
    for field in ("id", "name"):
        if not block[field]:
            raise BadRequest(f"tool_use block missing required '{field}' field")
    return ToolCall(block["id"], index, block["name"], block["input"])


def _result(block: Mapping[str, Any], names: Mapping[str, str]) -> Message:
    content = block["content"]
    images: list[str] = []
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        images = [_image(part) for part in parts if part.get("type") == "image"]
        content = "".join(_text(part) for part in parts if part.get("type") == "text")
    call_id = block["tool_use_id"]
    return Message(
        "tool",
        content if isinstance(content, str) else "",
        images=tuple(images),
        tool_name=names.get(call_id, ""),
        tool_call_id=call_id,
    )


def _image(block: Mapping[str, Any]) -> str:
    source = block.get("source")
    if not isinstance(source, dict):
        raise BadRequest("invalid image source")
    if source.get("type") != "base64":
        raise BadRequest(f"invalid image source type: {source.get('type')}. Only base64 images are supported.")
    try:
        return check_base64(_string(source, "data"))
    except GoValueError as error:
        raise BadRequest(f"invalid base64 image data: {error}") from None


def _text(block: Mapping[str, Any]) -> str:
    return _string(block, "text")


def _string(block: Mapping[str, Any], key: str) -> str:
    value = block.get(key)
    return value if isinstance(value, str) else ""

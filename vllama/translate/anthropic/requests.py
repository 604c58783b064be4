"""Anthropic's message requests as calls of ours (contract 7.1). Pure.

Ollama's rules; beyond them ``tool_choice`` and ``output_config.format`` are honoured, and tool results carry the name
of their tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.anthropic.blocks import system_text
from vllama.translate.anthropic.turns import turns
from vllama.translate.efforts import EFFORTS
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
from vllama.translate.ollama.native import PARAMETERS
from vllama.translate.passages import joined, without_billing
from vllama.translate.pieces import ChatCall, Message
from vllama.translate.template_fields import read_template_fields
from vllama.translate.tool_choice import chosen

_RUN_BY_CLIENTS = ("bash_", "text_editor_", "computer_", "memory_")
"""Types of tools whose schema only Anthropic's models know; the client runs them, so the model is told their names."""
_BLOCKS = slice_of(
    struct(
        "ContentBlock",
        "anthropic.ContentBlock",
        {
            "type": STRING,
            "text": STRING,
            "title": ANY,
            "context": ANY,
            "source": ANY,
            "id": STRING,
            "name": STRING,
            "input": ANY,
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
        "chat_template_kwargs": ANY,
        "_debug_render_only": BOOL,
        "output_config": pointer(
            struct("OutputConfig", "anthropic.OutputConfig", {"effort": STRING, "format": pointer(MAP)})
        ),
    },
)


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A decoded request to ``/v1/messages``."""

    model: str
    call: ChatCall
    stream: bool
    parallel_calls: bool
    render_only: bool
    """Tell the rendered prompt instead of answering."""
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
    given_choice = fields["tool_choice"] or {}
    definitions = [_tool(tool) for tool in fields["tools"] if not _runs_elsewhere(tool)]
    choice, tools = chosen(given_choice, definitions)
    call = ChatCall(
        messages=((Message("system", system),) if system else ()) + turns(fields["messages"]),
        tools=tools,
        tool_choice=choice,
        think=_think(fields),
        format=_format(fields["output_config"]),
        options=_options(fields),
        template_fields=read_template_fields(fields["chat_template_kwargs"]),
    )
    return MessagesRequest(
        model=fields["model"],
        call=call,
        stream=fields["stream"],
        parallel_calls=not given_choice.get("disable_parallel_tool_use"),
        render_only=fields["_debug_render_only"],
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
    if kind == "disabled":
        return False
    effort = (fields["output_config"] or {}).get("effort")
    return effort if effort in EFFORTS else True if kind == "enabled" else None


def _format(output: Mapping[str, Any] | None) -> Any:
    wanted = (output or {}).get("format") or {}
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _system(system: Any) -> str:
    return joined(without_billing(text) for text in system_text(system))


def _runs_elsewhere(tool: Mapping[str, Any]) -> bool:
    """Is it a tool that Anthropic's servers run, or one that nobody here knows?"""
    kind = tool["type"]
    if kind in {"", "custom"} or (tool["name"] and kind.startswith(_RUN_BY_CLIENTS)):
        return False
    return kind.startswith("web_search") or not tool["input_schema"]


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    schema = tool["input_schema"]
    try:
        unmarshal(schema, PARAMETERS)
    except GoValueError as error:
        raise BadRequest(f'invalid input_schema for tool "{excerpt(tool["name"])}": {error}') from None
    function: dict[str, Any] = {"name": tool["name"]}
    if tool["description"]:
        function["description"] = tool["description"]
    function["parameters"] = schema if schema and isinstance(schema, Mapping) else {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


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

"""Anthropic's message requests as calls of ours. Pure.

Ollama's rules; beyond them ``tool_choice`` and ``output_config.format`` are honoured, and tool results carry the name
of their tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, Field

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.anthropic.blocks import system_text
from vllama.translate.anthropic.turns import turns
from vllama.translate.decoding import EMPTY, Body, Integer, Items, Object, WrongShape, decode, expect
from vllama.translate.efforts import EFFORTS
from vllama.translate.passages import joined, without_billing
from vllama.translate.pieces import ChatCall, Message
from vllama.translate.template_fields import read_template_fields
from vllama.translate.tool_choice import chosen
from vllama.translate.tools import check_parameters

_RUN_BY_CLIENTS = ("bash_", "text_editor_", "computer_", "memory_")
"""Types of tools whose schema only Anthropic's models know; the client runs them, so the model gets their names."""


def _content(given: Any) -> Any:
    """A text is one block."""
    if isinstance(given, str):
        return [{"type": "text", "text": given}]
    if not isinstance(given, list):
        expect("a string or a list of blocks")
    return given


class _Block(Body):
    type: str = ""
    text: str = ""
    title: Any = None
    context: Any = None
    source: Any = None
    id: str = ""
    name: str = ""
    input: Any = None
    tool_use_id: str = ""
    content: Any = None
    is_error: bool = False
    thinking: str = ""


class _Message(Body):
    role: str = ""
    content: Annotated[Items[_Block], BeforeValidator(_content)] = ()


class _Tool(Body):
    type: str = ""
    name: str = ""
    description: str = ""
    input_schema: Any = None


class _Choice(Body):
    type: str = ""
    name: str = ""
    disable_parallel_tool_use: bool = False


class _Thinking(Body):
    type: str = ""


class _OutputConfig(Body):
    effort: str = ""
    format: Object = EMPTY


class _Messages(Body):
    model: str = ""
    max_tokens: Integer = 0
    messages: Items[_Message] = ()
    system: Any = None
    stream: bool = False
    temperature: float | None = None
    top_p: float | None = None
    top_k: Integer | None = None
    stop_sequences: Items[str] = ()
    tools: Items[_Tool] = ()
    tool_choice: _Choice = _Choice()
    thinking: _Thinking = _Thinking()
    chat_template_kwargs: Any = None
    output_config: _OutputConfig = _OutputConfig()
    render_only: bool = Field(default=False, alias="_debug_render_only")


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
    asked = decode(body, _Messages)
    if not asked.model:
        raise BadRequest("model is required")
    if asked.max_tokens <= 0 and not counting:
        raise BadRequest("max_tokens is required and must be positive")
    if not asked.messages:
        raise BadRequest("messages is required")
    system = _system(asked.system)
    definitions = [_definition(tool) for tool in asked.tools if not _runs_elsewhere(tool)]
    choice, tools = chosen({"type": asked.tool_choice.type, "name": asked.tool_choice.name}, definitions)
    call = ChatCall(
        messages=((Message("system", system),) if system else ())
        + turns([(message.role, [dict(block) for block in message.content]) for message in asked.messages]),
        tools=tools,
        tool_choice=choice,
        think=_think(asked),
        format=_format(asked.output_config.format),
        options=_options(asked),
        template_fields=read_template_fields(asked.chat_template_kwargs),
    )
    return MessagesRequest(
        model=asked.model,
        call=call,
        stream=asked.stream,
        parallel_calls=not asked.tool_choice.disable_parallel_tool_use,
        render_only=asked.render_only,
        input_estimate=_estimate(call),
    )


def _options(asked: _Messages) -> dict[str, Any]:
    given = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if asked.max_tokens > 0:
        options["num_predict"] = asked.max_tokens
    if asked.stop_sequences:
        options["stop"] = asked.stop_sequences
    return options


def _think(asked: _Messages) -> bool | str | None:
    kind, effort = asked.thinking.type, asked.output_config.effort
    if kind == "disabled":
        return False
    return effort if effort in EFFORTS else True if kind == "enabled" else None


def _format(wanted: Mapping[str, Any]) -> Any:
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _system(system: Any) -> str:
    return joined(without_billing(text) for text in system_text(system))


def _runs_elsewhere(tool: _Tool) -> bool:
    """Is it a tool that Anthropic's servers run, or one that nobody here knows?"""
    if tool.type in {"", "custom"} or (tool.name and tool.type.startswith(_RUN_BY_CLIENTS)):
        return False
    return tool.type.startswith("web_search") or not tool.input_schema


def _definition(tool: _Tool) -> dict[str, Any]:
    schema = tool.input_schema
    try:
        check_parameters(schema)
    except WrongShape as error:
        raise BadRequest(f'invalid input_schema for tool "{excerpt(tool.name)}": {error}') from None
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
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

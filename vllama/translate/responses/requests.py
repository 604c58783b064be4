"""OpenAI's Responses requests as calls of ours (contract 6.6). Pure.

Stateless as Ollama's: nothing is stored, so ``previous_response_id`` and ``conversation`` have no effect. Beyond Ollama
``tool_choice``, ``parallel_tool_calls``, ``text.format`` of type ``json_object`` and ``metadata`` are honoured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vllama.translate.bounds import check_echo
from vllama.translate.gojson import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    MAP,
    STRING,
    GoValueError,
    decode,
    pointer,
    slice_of,
    struct,
    unmarshal,
)
from vllama.translate.goshapes import unless
from vllama.translate.jsontext import number
from vllama.translate.ollama.native import says_nothing
from vllama.translate.openai_parts import think_of
from vllama.translate.pieces import ChatCall, Message
from vllama.translate.responses.items import read_input
from vllama.translate.responses.replies import Echo
from vllama.translate.template_fields import read_template_fields
from vllama.translate.tool_choice import chosen

_TOOL = struct(
    "ResponsesTool",
    "openai.ResponsesTool",
    {
        "type": STRING,
        "name": STRING,
        "description": pointer(STRING),
        "strict": pointer(BOOL),
        "parameters": unless(says_nothing, MAP),
        "tools": slice_of(MAP),
    },
)
_REQUEST = struct(
    "ResponsesRequest",
    "openai.ResponsesRequest",
    {
        "model": STRING,
        "input": ANY,
        "instructions": STRING,
        "max_output_tokens": pointer(INT),
        "temperature": pointer(FLOAT),
        "top_p": pointer(FLOAT),
        "reasoning": pointer(
            struct("ResponsesReasoning", "openai.ResponsesReasoning", {"effort": STRING, "summary": ANY})
        ),
        "text": pointer(struct("ResponsesText", "openai.ResponsesText", {"format": pointer(MAP)})),
        "tools": slice_of(_TOOL),
        "tool_choice": ANY,
        "parallel_tool_calls": pointer(BOOL),
        "stream": pointer(BOOL),
        "truncation": pointer(STRING),
        "background": pointer(BOOL),
        "metadata": MAP,
        "chat_template_kwargs": ANY,
        "_debug_render_only": BOOL,
    },
)


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A decoded request to ``/v1/responses``."""

    call: ChatCall
    """Without messages: only load the model."""
    echo: Echo
    stream: bool
    render_only: bool
    """Tell the rendered prompt instead of answering."""


def read_responses(body: bytes) -> ResponsesRequest:
    """Decode and check a request body; raises BadRequest."""
    fields = decode(body, _REQUEST, empty="EOF")
    conversation = read_input(fields["input"])
    tools = _tools([*fields["tools"], *conversation.tools])
    messages = conversation.turns
    if fields["instructions"] and messages:
        messages = (Message("system", fields["instructions"]), *messages)
    definitions: tuple[Mapping[str, Any], ...] = tuple({"type": "function", "function": _definition(t)} for t in tools)
    choice, offered = chosen(fields["tool_choice"], definitions)
    call = ChatCall(
        messages=messages,
        tools=offered,
        tool_choice=choice,
        think=think_of((fields["reasoning"] or {}).get("effort", "")),
        format=_format(fields["text"]),
        options=_options(fields),
        template_fields=read_template_fields(fields["chat_template_kwargs"]),
    )
    echo = _echo(fields, tools, choice)
    return ResponsesRequest(call, echo, bool(fields["stream"]), render_only=fields["_debug_render_only"])


def _options(fields: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"temperature": 1.0 if fields["temperature"] is None else fields["temperature"]}
    if fields["top_p"] is not None:
        options["top_p"] = fields["top_p"]
    if fields["max_output_tokens"] is not None:
        options["num_predict"] = fields["max_output_tokens"]
    return options


def _format(text: Mapping[str, Any] | None) -> Any:
    wanted = (text or {}).get("format") or {}
    if wanted.get("type") == "json_object":
        return "json"
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _tools(given: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """All functions, each name once; what became known on the way is left out where it can't be read."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in given:
        try:
            functions = _functions(unmarshal(tool, _TOOL))
        except GoValueError:
            continue
        for function in functions:
            found.setdefault(function["name"], function)
    return tuple(found.values())


def _functions(tool: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The function a tool is, or those of a namespace; tools that a server of OpenAI's runs are left out."""
    if tool["type"] == "function":
        return [tool]
    if tool["type"] == "namespace":
        inner = [one for one in tool["tools"] if one.get("type") == "function" and isinstance(one.get("name"), str)]
        return [
            {
                "type": "function",
                "name": f"{tool['name']}.{one['name']}",
                "description": one.get("description"),
                "strict": one.get("strict"),
                "parameters": _schema(one),
            }
            for one in inner
        ]
    return []


def _schema(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = tool.get("parameters")
    return schema if isinstance(schema, Mapping) else {}


def _definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": tool["name"]}
    if tool["description"]:
        definition["description"] = tool["description"]
    definition["parameters"] = _schema(tool) or {"type": "object", "properties": {}}
    if tool["strict"] is not None:
        definition["strict"] = tool["strict"]
    return definition


def _echo(fields: Mapping[str, Any], tools: Sequence[Mapping[str, Any]], choice: Any) -> Echo:
    effort = fields["reasoning"] or {}
    reasoning = {name: effort[name] for name in ("effort", "summary") if effort.get(name)}
    shown = tuple(
        {name: tool[name] for name in ("type", "name", "description", "strict")}
        | {"parameters": _sorted(tool["parameters"])}
        for tool in tools
    )
    wanted = (fields["text"] or {}).get("format")
    check_echo([fields[name] for name in ("metadata", "tool_choice", "truncation")] + [reasoning])
    return Echo(
        model=fields["model"],
        instructions=fields["instructions"] or None,
        tools=shown,
        tool_choice="auto" if choice is None else fields["tool_choice"],
        text={"format": wanted or {"type": "text"}},
        temperature=1 if fields["temperature"] is None else number(fields["temperature"]),
        top_p=1 if fields["top_p"] is None else number(fields["top_p"]),
        reasoning=reasoning or None,
        max_output_tokens=fields["max_output_tokens"],
        truncation=fields["truncation"] or "disabled",
        background=bool(fields["background"]),
        parallel_tool_calls=fields["parallel_tool_calls"] is not False,
        metadata=fields["metadata"],
    )


def _sorted(schema: Mapping[str, Any]) -> Any:
    """Ollama keeps a schema in maps, which Go writes in alphabetical order."""
    return orjson.loads(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))

"""OpenAI's Responses requests as calls of ours. Pure.

Stateless as Ollama's: nothing is stored, so ``previous_response_id`` and ``conversation`` have no effect. Beyond Ollama
``tool_choice``, ``parallel_tool_calls``, ``text.format`` of type ``json_object`` and ``metadata`` are honoured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vllama.jsontext import number
from vllama.translate.bounds import check_echo
from vllama.translate.decoding import EMPTY, Body, Integer, Items, Object, WrongShape, decode, read
from vllama.translate.openai_parts import think_of
from vllama.translate.pieces import ChatCall, Message
from vllama.translate.responses.items import read_input
from vllama.translate.responses.replies import Echo
from vllama.translate.template_fields import read_template_fields
from vllama.translate.tool_choice import chosen
from vllama.translate.tools import says_nothing


def _schema(given: Any) -> Any:
    return {} if says_nothing(given) else given


class _Tool(Body):
    type: str = ""
    name: str = ""
    description: str | None = None
    strict: bool | None = None
    parameters: Annotated[Object, BeforeValidator(_schema)] = EMPTY
    tools: Items[Object] = ()


class _Reasoning(Body):
    effort: str = ""
    summary: Any = None


class _Text(Body):
    format: Object = EMPTY


class _Request(Body):
    model: str = ""
    input: Any = None
    instructions: str = ""
    max_output_tokens: Integer | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning: _Reasoning = _Reasoning()
    text: _Text = _Text()
    tools: Items[_Tool] = ()
    tool_choice: Any = None
    parallel_tool_calls: bool = True
    stream: bool = False
    truncation: str = ""
    background: bool = False
    metadata: Object = EMPTY
    chat_template_kwargs: Any = None
    render_only: bool = Field(default=False, alias="_debug_render_only")


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
    asked = decode(body, _Request)
    conversation = read_input(asked.input)
    tools = _functions([*asked.tools, *_readable(conversation.tools)])
    messages = conversation.turns
    if asked.instructions and messages:
        messages = (Message("system", asked.instructions), *messages)
    choice, offered = chosen(
        asked.tool_choice, tuple({"type": "function", "function": _definition(tool)} for tool in tools)
    )
    call = ChatCall(
        messages=messages,
        tools=offered,
        tool_choice=choice,
        think=think_of(asked.reasoning.effort),
        format=_format(asked.text.format),
        options=_options(asked),
        template_fields=read_template_fields(asked.chat_template_kwargs),
    )
    return ResponsesRequest(call, _echo(asked, tools, choice), asked.stream, render_only=asked.render_only)


def _options(asked: _Request) -> dict[str, Any]:
    options: dict[str, Any] = {"temperature": 1.0 if asked.temperature is None else asked.temperature}
    if asked.top_p is not None:
        options["top_p"] = asked.top_p
    if asked.max_output_tokens is not None:
        options["num_predict"] = asked.max_output_tokens
    return options


def _format(wanted: Mapping[str, Any]) -> Any:
    if wanted.get("type") == "json_object":
        return "json"
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _readable(given: Sequence[Mapping[str, Any]]) -> Iterator[_Tool]:
    """Tools that became known on the way, without those that can't be read."""
    for tool in given:
        with suppress(WrongShape):
            yield read(tool, _Tool)


def _functions(tools: Sequence[_Tool]) -> tuple[_Tool, ...]:
    """All functions, each name once; tools that a server of OpenAI's runs are left out."""
    found: dict[str, _Tool] = {}
    for tool in tools:
        for function in [tool] if tool.type == "function" else _inside(tool):
            found.setdefault(function.name, function)
    return tuple(found.values())


def _inside(tool: _Tool) -> Iterator[_Tool]:
    """The functions of a namespace."""
    for function in _readable(tool.tools) if tool.type == "namespace" else ():
        if function.type == "function" and function.name:
            yield function.model_copy(update={"name": f"{tool.name}.{function.name}"})


def _definition(tool: _Tool) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": tool.name}
    if tool.description:
        definition["description"] = tool.description
    definition["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict is not None:
        definition["strict"] = tool.strict
    return definition


def _echo(asked: _Request, tools: Sequence[_Tool], choice: Any) -> Echo:
    effort = {"effort": asked.reasoning.effort, "summary": asked.reasoning.summary}
    reasoning = {name: value for name, value in effort.items() if value}
    check_echo([asked.metadata, asked.tool_choice, asked.truncation, reasoning])
    return Echo(
        model=asked.model,
        instructions=asked.instructions or None,
        tools=tuple(
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "strict": tool.strict,
                "parameters": tool.parameters,
            }
            for tool in tools
        ),
        tool_choice="auto" if choice is None else asked.tool_choice,
        text={"format": asked.text.format or {"type": "text"}},
        temperature=1 if asked.temperature is None else number(asked.temperature),
        top_p=1 if asked.top_p is None else number(asked.top_p),
        reasoning=reasoning or None,
        max_output_tokens=asked.max_output_tokens,
        truncation=asked.truncation or "disabled",
        background=asked.background,
        parallel_tool_calls=asked.parallel_tool_calls,
        metadata=asked.metadata,
    )

"""OpenAI's Responses requests as calls of ours (contract 6.6). Pure.

Stateless as Ollama's: nothing is stored, so ``previous_response_id`` and ``conversation`` have no effect. Beyond Ollama
``tool_choice``, ``parallel_tool_calls``, ``text.format`` of type ``json_object`` and ``metadata`` are honoured.
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
    decode,
    pointer,
    slice_of,
    struct,
    unmarshal,
    unmarshal_text,
)
from vllama.translate.jsontext import number
from vllama.translate.native import ARGUMENTS
from vllama.translate.openai_parts import image_data, think_of, tool_choice_of
from vllama.translate.pieces import ChatCall, Message, ToolCall
from vllama.translate.responses_replies import Echo

_PARTS = slice_of(Shape("json.RawMessage", lambda: None, lambda value, _: value))
_PEEK = struct(
    "", r'struct { Type string "json:\"type\""; Role string "json:\"role\"" }', {"type": STRING, "role": STRING}
)
_CALL = struct(
    "ResponsesFunctionCall",
    "openai.ResponsesFunctionCall",
    {"call_id": STRING, "name": STRING, "arguments": STRING},
)
_TOOL = struct(
    "ResponsesTool",
    "openai.ResponsesTool",
    {
        "type": STRING,
        "name": STRING,
        "description": pointer(STRING),
        "strict": pointer(BOOL),
        "parameters": MAP,
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
    },
)


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A decoded request to ``/v1/responses``."""

    call: ChatCall
    """Without messages: only load the model."""
    echo: Echo
    stream: bool


def read_responses(body: bytes) -> ResponsesRequest:
    """Decode and check a request body; raises BadRequest."""
    fields = decode(body, _REQUEST, empty="EOF")
    tools = tuple(tool for given in fields["tools"] for tool in _functions(given))
    messages = _messages(fields["input"])
    if fields["instructions"] and messages:
        messages = (Message("system", fields["instructions"]), *messages)
    choice = tool_choice_of(fields["tool_choice"]) if tools else None
    call = ChatCall(
        messages=messages,
        tools=tuple({"type": "function", "function": _definition(tool)} for tool in tools),
        tool_choice=choice,
        think=think_of((fields["reasoning"] or {}).get("effort", "")),
        format=_format(fields["text"]),
        options=_options(fields),
    )
    return ResponsesRequest(call, _echo(fields, tools, choice), bool(fields["stream"]))


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
                "parameters": one.get("parameters") or {},
            }
            for one in inner
        ]
    return []


def _definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": tool["name"]}
    if tool["description"]:
        definition["description"] = tool["description"]
    definition["parameters"] = tool["parameters"] or {"type": "object", "properties": {}}
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


# ------------------------------------------------------------------------------------------------- input


def _messages(given: Any) -> tuple[Message, ...]:
    if given is None or given == "":
        return ()
    if isinstance(given, str):
        return (Message("user", given),)
    conversation = _Conversation()
    for index, item in enumerate(_list(given, "input")):
        try:
            kind = unmarshal(item, _PEEK)
        except GoValueError as error:
            raise BadRequest(f"input[{index}]: {error}") from None
        conversation.add(index, kind["type"] or ("message" if kind["role"] else ""), item or {})
    return tuple(conversation.turns)


def _list(value: Any, what: str) -> list[Any]:
    """A list, or what Ollama says of a value that is neither that nor a string."""
    try:
        found: list[Any] = unmarshal(value, _PARTS)
    except GoValueError as error:
        raise BadRequest(f"{what} must be a string or array: {error}") from None
    return found


class _Conversation:
    """Joins a list of items to turns: calls and reasoning belong to the assistant's turn beside them."""

    def __init__(self) -> None:
        self.turns: list[Message] = []
        self._names: dict[str, str] = {}
        self._thinking = ""

    def add(self, index: int, kind: str, item: Mapping[str, Any]) -> None:
        if kind == "message":
            role = "system" if item.get("role") == "developer" else _string(item, "role")
            if "content" not in item:
                raise BadRequest(f"input[{index}]: content must be a string or array: unexpected end of JSON input")
            text, images = _content(item["content"], f"input[{index}]: ")
            self.turns.append(Message(role, text, self._take_thinking(role), images))
        elif kind == "function_call":
            self._call(index, item)
        elif kind == "function_call_output":
            call_id = _string(item, "call_id")
            text, images = _content(item.get("output"), f"input[{index}]: ")
            name = self._names.get(call_id, "")
            self.turns.append(Message("tool", text, images=images, tool_name=name, tool_call_id=call_id))
        elif kind == "reasoning":
            self._thinking += _string(item, "encrypted_content") or _summary(item)
        elif not kind:
            raise BadRequest(f"input[{index}]: input item missing required 'type' field")
        elif kind != "web_search_call":
            raise BadRequest(f'input[{index}]: unknown input item type: "{kind}"')

    def _call(self, index: int, item: Mapping[str, Any]) -> None:
        try:
            arguments = unmarshal(item, _CALL)["arguments"]
        except GoValueError as error:
            raise BadRequest(f"input[{index}]: {error}") from None
        call_id, name = _string(item, "call_id"), _string(item, "name")
        self._names[call_id] = name
        before = self.turns[-1] if self.turns and self.turns[-1].role == "assistant" else None
        calls = before.tool_calls if before else ()
        call = ToolCall(call_id, len(calls), name, _arguments(arguments))
        if before is None:
            self.turns.append(Message("assistant", "", self._take_thinking("assistant"), tool_calls=(call,)))
            return
        thinking = before.thinking + self._take_thinking("assistant")
        self.turns[-1] = Message("assistant", before.content, thinking, before.images, (*calls, call))

    def _take_thinking(self, role: str) -> str:
        if role != "assistant":
            return ""
        taken, self._thinking = self._thinking, ""
        return taken


def _arguments(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = unmarshal_text(text.encode(), ARGUMENTS)
    except ValueError as error:
        raise BadRequest(f"failed to parse function call arguments: {error}") from None
    return found


def _content(content: Any, where: str) -> tuple[str, tuple[str, ...]]:
    """Text and images of a message's content or of a tool's output."""
    if content is None or isinstance(content, str):
        return content or "", ()
    texts, images = [], []
    for index, part in enumerate(_list(content, f"{where}content")):
        kind = _string(part, "type") if isinstance(part, dict) else ""
        if kind in {"input_text", "output_text"}:
            texts.append(_string(part, "text"))
        elif kind == "input_image":
            if url := _string(part, "image_url"):
                images.append(image_data(url))
        elif kind == "input_file":
            raise BadRequest("file inputs are not currently supported")
        else:
            raise BadRequest(f"{where}content[{index}]: unknown content type: {kind}")
    return "".join(texts), tuple(images)


def _summary(item: Mapping[str, Any]) -> str:
    parts = item.get("summary")
    return "".join(_string(part, "text") for part in parts if isinstance(part, dict)) if isinstance(parts, list) else ""


def _string(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""

"""OpenAI's chat requests as calls of ours (contract 6.2). Pure.

Ollama's rules where it has some; beyond it ``max_completion_tokens``, ``tool_choice``, ``parallel_tool_calls``, ``n``
and ``reasoning_content`` are honoured, role ``developer`` means ``system``, a message of parts stays one message, and
vLLM's own sampling fields work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vllama.errors import BadRequest
from vllama.translate.arguments import arguments_of
from vllama.translate.engine_fields import VLLM_FIELDS, engine_fields, vllm_options
from vllama.translate.gojson import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STRING,
    Shape,
    Trace,
    checked,
    decode,
    pointer,
    slice_of,
    struct,
)
from vllama.translate.goshapes import kind_of, plain
from vllama.translate.ollama.native import TOOL
from vllama.translate.openai_parts import (
    go_type,
    image_data,
    part_text,
    readable_parts,
    think_of,
)
from vllama.translate.passages import joined
from vllama.translate.pieces import ChatCall, Message, ToolCall
from vllama.translate.template_fields import read_template_fields
from vllama.translate.tool_choice import chosen, functions

MAX_CHOICES = 16
"""Most answers to one request; each is a request of its own to the engine."""


def _read_seed(value: Any, trace: Trace) -> Any:
    number = plain(value, trace) if kind_of(value) == "number" else None
    whole = isinstance(number, int) or (isinstance(number, float) and number.is_integer())
    return number if whole else trace.mismatch(value, SEED)


SEED = Shape("int", int, _read_seed)
"""A whole number of any size; the options keep 64 bits of it."""
STREAM_OPTIONS = struct("StreamOptions", "openai.StreamOptions", {"include_usage": BOOL})
_FUNCTION = struct("", "struct { Name string; Arguments string }", {"name": STRING, "arguments": ANY})
_TOOL_CALL = struct(
    "ToolCall",
    "openai.ToolCall",
    {
        "id": STRING,
        "index": ANY,
        "type": STRING,
        "function": _FUNCTION,
        "custom": struct("", "struct { Name string; Input string }", {"name": STRING, "input": STRING}),
    },
)
_MESSAGE = struct(
    "Message",
    "openai.Message",
    {
        "role": STRING,
        "content": ANY,
        "refusal": STRING,
        "reasoning": STRING,
        "reasoning_content": STRING,
        "name": STRING,
        "tool_calls": pointer(slice_of(_TOOL_CALL)),
        "function_call": pointer(_FUNCTION),
        "tool_call_id": STRING,
    },
)
_RESPONSE_FORMAT = struct(
    "ResponseFormat",
    "openai.ResponseFormat",
    {"type": STRING, "json_schema": pointer(struct("JsonSchema", "openai.JsonSchema", {"schema": ANY}))},
)
_CHAT = struct(
    "ChatCompletionRequest",
    "openai.ChatCompletionRequest",
    {
        "model": STRING,
        "messages": slice_of(_MESSAGE),
        "stream": BOOL,
        "stream_options": pointer(STREAM_OPTIONS),
        "max_tokens": pointer(INT),
        "max_completion_tokens": pointer(INT),
        "seed": pointer(SEED),
        "stop": ANY,
        "temperature": pointer(FLOAT),
        "frequency_penalty": pointer(FLOAT),
        "presence_penalty": pointer(FLOAT),
        "top_p": pointer(FLOAT),
        "response_format": pointer(_RESPONSE_FORMAT),
        "tools": checked(slice_of(TOOL)),
        "tool_choice": ANY,
        "parallel_tool_calls": pointer(BOOL),
        "reasoning": pointer(struct("Reasoning", "openai.Reasoning", {"effort": STRING})),
        "reasoning_effort": pointer(STRING),
        "logprobs": pointer(BOOL),
        "top_logprobs": INT,
        "n": pointer(INT),
        "chat_template_kwargs": ANY,
        "_debug_render_only": BOOL,
        **VLLM_FIELDS,
    },
)


_ROLES = {"developer": "system", "function": "tool"}
_ANSWERS = ("assistant", "tool")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A decoded request to ``/v1/chat/completions``."""

    model: str
    """As typed; may be empty."""
    call: ChatCall
    stream: bool
    include_usage: bool
    choices: int
    parallel_calls: bool
    render_only: bool
    """Tell the rendered prompt instead of answering."""


def read_chat(body: bytes) -> ChatRequest:
    """Decode and check a request body; raises BadRequest."""
    fields = decode(body, _CHAT, empty="EOF")
    if not fields["messages"]:
        raise BadRequest("[] is too short - 'messages'")
    messages = chat_messages(fields["messages"])
    effort = (fields["reasoning"] or {}).get("effort") or fields["reasoning_effort"] or ""
    options = sampling_options(fields)
    limit = fields["max_tokens"] if fields["max_completion_tokens"] is None else fields["max_completion_tokens"]
    if limit is not None:
        options["num_predict"] = limit
    if stops := _stops(fields["stop"]):
        options["stop"] = stops
    choice, tools = chosen(fields["tool_choice"], functions(fields["tools"]))
    call = ChatCall(
        messages=messages,
        tools=tools,
        tool_choice=choice,
        think=think_of(effort),
        format=_format(fields["response_format"]),
        options=options,
        logprobs=bool(fields["logprobs"]),
        top_logprobs=fields["top_logprobs"],
        engine_fields=engine_fields(fields),
        template_fields=read_template_fields(fields["chat_template_kwargs"]),
    )
    return ChatRequest(
        model=fields["model"],
        call=call,
        stream=fields["stream"],
        include_usage=bool((fields["stream_options"] or {}).get("include_usage")),
        choices=choices_of(fields["n"], options),
        parallel_calls=fields["parallel_tool_calls"] is not False,
        render_only=fields["_debug_render_only"],
    )


def sampling_options(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Ollama's options of what all OpenAI requests name alike; temperature and top_p are 1 unless given."""
    options = {
        name: fields[name] for name in ("seed", "frequency_penalty", "presence_penalty") if fields[name] is not None
    }
    options["temperature"] = 1.0 if fields["temperature"] is None else fields["temperature"]
    options["top_p"] = 1.0 if fields["top_p"] is None else fields["top_p"]
    return options | vllm_options(fields)


def choices_of(n: int | None, options: Mapping[str, Any]) -> int:
    """How many answers to give: greedy ones would all be the same, so there is one. Raises BadRequest."""
    if n is None or options["temperature"] == 0:
        return 1
    if not 1 <= n <= MAX_CHOICES:
        raise BadRequest(f"n must be between 1 and {MAX_CHOICES}")
    return n


def _stops(stop: Any) -> list[str]:
    if isinstance(stop, str):
        return [stop]
    return [text for text in stop if isinstance(text, str)] if isinstance(stop, list) else []


def _format(wanted: Mapping[str, Any] | None) -> Any:
    kind = (wanted or {}).get("type", "").strip().lower()
    if kind == "json_object":
        return "json"
    return ((wanted or {}).get("json_schema") or {}).get("schema") if kind == "json_schema" else None


# --------------------------------------------------------------------------------------------- messages


def chat_messages(given: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """OpenAI's messages as Ollama's; raises BadRequest."""
    out: list[Message] = []
    names: dict[str, str] = {}
    for message in given:
        calls = _calls(message)
        names |= {call.id: call.name for call in calls}
        out.extend(_turns(message, calls, names))
    return tuple(out)


def _calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of an assistant's message, in the older form, too."""
    if old := message["function_call"]:
        return (ToolCall("", 0, old["name"], arguments_of(old["arguments"])),)
    return tuple(_call(index, call) for index, call in enumerate(message["tool_calls"] or ()))


def _call(index: int, call: Mapping[str, Any]) -> ToolCall:
    if call["type"] == "custom":
        return ToolCall(call["id"], index, call["custom"]["name"], {"input": call["custom"]["input"]})
    function = call["function"]
    return ToolCall(call["id"], index, function["name"], arguments_of(function["arguments"]))


def _turns(message: Mapping[str, Any], calls: tuple[ToolCall, ...], names: Mapping[str, str]) -> list[Message]:
    role = _ROLES.get(message["role"], message["role"])
    content = message["content"]
    thinking = message["reasoning"] or message["reasoning_content"]
    images: tuple[str, ...] = ()
    if isinstance(content, list):
        parts = readable_parts(content, role)
        if not (parts or calls or thinking):
            return []
        text, images = _from_parts(parts)
    elif isinstance(content, str):
        text = content or message["refusal"]
    elif message["tool_calls"] is not None or role in _ANSWERS:
        # with calls, be it none, Ollama does not look at the content; an answer or a result may be empty
        text = message["refusal"]
    else:
        raise BadRequest(f"invalid message content type: {go_type(content)}")
    call_id = message["tool_call_id"]
    tool_name = message["name"] or names.get(call_id, "") if role == "tool" else ""
    return [Message(role, text, thinking, images, calls, tool_name, call_id)]


def _from_parts(parts: Sequence[Any]) -> tuple[str, tuple[str, ...]]:
    """Text and images of one message.

    Ollama makes a message of each part; but many templates refuse two messages of one role, and those of most vision
    models one of nothing than an image.
    """
    texts, images = [], []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if (text := part_text(part)) is not None:
            texts.append(text)
        elif kind == "image_url":
            images.append(image_data(_url(part.get("image_url"))))
        elif kind == "input_audio":
            raise BadRequest("audio input is not supported")
        else:
            raise BadRequest("invalid message format")
    return "\n".join(texts) if images else joined(texts), tuple(images)


def _url(given: Any) -> str:
    url = given.get("url") if isinstance(given, Mapping) else given
    if not isinstance(url, str):
        raise BadRequest("invalid message format")
    return url

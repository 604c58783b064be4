"""OpenAI's chat requests as calls of ours. Pure.

Ollama's rules where it has some; beyond it ``max_completion_tokens``, ``tool_choice``, ``parallel_tool_calls``, ``n``
and ``reasoning_content`` are honoured, role ``developer`` means ``system``, a message of parts stays one message, and
vLLM's own sampling fields work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vllama.errors import BadRequest
from vllama.translate.arguments import arguments_of
from vllama.translate.decoding import Body, Integer, Items, decode
from vllama.translate.engine_fields import EngineFields, engine_fields, vllm_options
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
from vllama.translate.tools import Tools

MAX_CHOICES = 16
"""Most answers to one request; each is a request of its own to the engine."""


def _seed(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Seed = Annotated[int, BeforeValidator(_seed)]
"""A whole number of any size; the options keep 64 bits of it."""


class _StreamOptions(Body):
    include_usage: bool = False


class Sampling(EngineFields):
    """What chats and text completions have in common."""

    model: str = ""
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    max_tokens: Integer | None = None
    seed: Seed | None = None
    stop: Any = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: Integer | None = None


class _Function(Body):
    name: str = ""
    arguments: Any = None


class _Custom(Body):
    name: str = ""
    input: str = ""


class _ToolCall(Body):
    id: str = ""
    type: str = ""
    function: _Function = _Function()
    custom: _Custom = _Custom()


class _Message(Body):
    role: str = ""
    content: Any = None
    refusal: str = ""
    reasoning: str = ""
    reasoning_content: str = ""
    name: str = ""
    tool_calls: Items[_ToolCall] | None = None
    function_call: _Function | None = None
    tool_call_id: str = ""


class _JsonSchema(Body):
    schema_: Any = Field(None, alias="schema")


class _ResponseFormat(Body):
    type: str = ""
    json_schema: _JsonSchema = _JsonSchema()


class _Reasoning(Body):
    effort: str = ""


class _Chat(Sampling):
    messages: Items[_Message] = ()
    max_completion_tokens: Integer | None = None
    response_format: _ResponseFormat = _ResponseFormat()
    tools: Tools = ()
    tool_choice: Any = None
    parallel_tool_calls: bool = True
    reasoning: _Reasoning = _Reasoning()
    reasoning_effort: str = ""
    logprobs: bool = False
    top_logprobs: Integer = 0
    chat_template_kwargs: Any = None
    render_only: bool = Field(default=False, alias="_debug_render_only")


_ROLES = {"developer": "system", "function": "tool"}
_ANSWERS = ("assistant", "tool")


@dataclass(frozen=True, slots=True)
class ChatCompletionRequest:
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


def read_chat(body: bytes) -> ChatCompletionRequest:
    """Decode and check a request body; raises BadRequest."""
    asked = decode(body, _Chat)
    if not asked.messages:
        raise BadRequest("[] is too short - 'messages'")
    messages = chat_messages(asked.messages)
    options = sampling_options(asked)
    limit = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    if limit is not None:
        options["num_predict"] = limit
    if stops := _stops(asked.stop):
        options["stop"] = stops
    choice, tools = chosen(asked.tool_choice, functions(asked.tools))
    call = ChatCall(
        messages=messages,
        tools=tools,
        tool_choice=choice,
        think=think_of(asked.reasoning.effort or asked.reasoning_effort),
        format=_format(asked.response_format),
        options=options,
        logprobs=asked.logprobs,
        top_logprobs=asked.top_logprobs,
        engine_fields=engine_fields(asked),
        template_fields=read_template_fields(asked.chat_template_kwargs),
    )
    return ChatCompletionRequest(
        model=asked.model,
        call=call,
        stream=asked.stream,
        include_usage=asked.stream_options.include_usage,
        choices=choices_of(asked.n, options),
        parallel_calls=asked.parallel_tool_calls,
        render_only=asked.render_only,
    )


def sampling_options(asked: Sampling) -> dict[str, Any]:
    """Ollama's options of what all OpenAI requests name alike; temperature and top_p are 1 unless given."""
    given = {name: getattr(asked, name) for name in ("seed", "frequency_penalty", "presence_penalty")}
    options = {name: value for name, value in given.items() if value is not None}
    options["temperature"] = 1.0 if asked.temperature is None else asked.temperature
    options["top_p"] = 1.0 if asked.top_p is None else asked.top_p
    return options | vllm_options(asked)


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


def _format(wanted: _ResponseFormat) -> Any:
    kind = wanted.type.strip().lower()
    if kind == "json_object":
        return "json"
    return wanted.json_schema.schema_ if kind == "json_schema" else None


# --------------------------------------------------------------------------------------------- messages


def chat_messages(given: Sequence[_Message]) -> tuple[Message, ...]:
    """OpenAI's messages as Ollama's; raises BadRequest."""
    out: list[Message] = []
    names: dict[str, str] = {}
    for message in given:
        calls = _calls(message)
        names |= {call.id: call.name for call in calls}
        out.extend(_turns(message, calls, names))
    return tuple(out)


def _calls(message: _Message) -> tuple[ToolCall, ...]:
    """The calls of an assistant's message, in the older form, too."""
    if old := message.function_call:
        return (ToolCall("", 0, old.name, arguments_of(old.arguments)),)
    return tuple(_call(index, call) for index, call in enumerate(message.tool_calls or ()))


def _call(index: int, call: _ToolCall) -> ToolCall:
    if call.type == "custom":
        return ToolCall(call.id, index, call.custom.name, {"input": call.custom.input})
    function = call.function
    return ToolCall(call.id, index, function.name, arguments_of(function.arguments))


def _turns(message: _Message, calls: tuple[ToolCall, ...], names: Mapping[str, str]) -> list[Message]:
    role = _ROLES.get(message.role, message.role)
    content = message.content
    thinking = message.reasoning or message.reasoning_content
    images: tuple[str, ...] = ()
    if isinstance(content, list):
        parts = readable_parts(content, role)
        if not (parts or calls or thinking):
            return []
        text, images = _from_parts(parts)
    elif isinstance(content, str):
        text = content or message.refusal
    elif message.tool_calls is not None or role in _ANSWERS:
        # with calls, be it none, Ollama does not look at the content; an answer or a result may be empty
        text = message.refusal
    else:
        raise BadRequest(f"invalid message content type: {go_type(content)}")
    call_id = message.tool_call_id
    tool_name = message.name or names.get(call_id, "") if role == "tool" else ""
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

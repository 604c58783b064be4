"""Calls into request bodies for vLLM: ``/v1/chat/completions`` and ``/v1/completions``. Pure.

Every body asks for a stream with its usage at the end; answers that are wanted whole are folded from the same pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from vllama.models.model import Model
from vllama.translate.conversation.alternation import normal
from vllama.translate.conversation.joining import IMAGE_MARK
from vllama.translate.conversation.open_calls import OpenCalls
from vllama.translate.conversation.template_shapes import NATURAL, TemplateShapes
from vllama.translate.efforts import EFFORTS, nearest
from vllama.translate.engine_fields import within
from vllama.translate.options import max_tokens, sampling
from vllama.translate.passages import without_billing
from vllama.translate.pictures import without_unseen
from vllama.translate.pieces import ChatCall, Message, Tags, TextCall, ToolCall
from vllama.translate.schemas.grammars import response_format, shown
from vllama.translate.template_fields import for_template

CHAT_PATH: Final = "/v1/chat/completions"
TEXT_PATH: Final = "/v1/completions"
_RENDERED: Final = ("messages", "tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message")

# a text that begins with one of these must not get another from the tokenizer
_BEGIN_OF_TEXT: Final = ("<s>", "<bos>", "[BOS]", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>")
_DEFINED: Final = {"name": str, "description": str, "parameters": Mapping, "strict": bool}


def conversation(model: Model, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The model's stored turns and system prompt before the client's.

    A first system message of the client replaces the stored one.
    """
    stored = tuple(
        Message(role=str(turn.get("role", "")), content=str(turn.get("content", ""))) for turn in model.messages
    )
    said = [message for given in messages for message in _unbilled(given)]
    if model.system and not (said and said[0].role == "system"):
        return (Message(role="system", content=model.system), *stored, *said)
    return (*stored, *said)


def _unbilled(message: Message) -> Iterable[Message]:
    """The message without Claude Code's billing header, which also reaches us through gateways; none if that is all."""
    if message.role != "system" or (text := without_billing(message.content)) == message.content:
        return (message,)
    return (replace(message, content=text),) if text or message.images else ()


def thinks(call: ChatCall, model: Model) -> bool:
    """Is the model to reason before it answers? On by default where it can."""
    return "thinking" in model.facts.capabilities and call.think is not False


def chat_prompt(
    call: ChatCall, messages: Sequence[Message], model: Model, shapes: TemplateShapes = NATURAL
) -> dict[str, Any]:
    """The fields that decide how the chat template is rendered: shared by a generation and by ``/tokenize``.

    ``shapes``: what the template takes; the messages are brought into it.
    """
    messages = normal(messages, shapes, tools=bool(call.tools))
    body: dict[str, Any] = {"messages": list(_wire_messages(messages))}
    if call.tools:
        body["tools"] = [_wire_tool(tool) for tool in call.tools]
    if "thinking" in model.facts.capabilities:
        on = thinks(call, model)
        body["chat_template_kwargs"] = {"enable_thinking": on, "thinking": on}
        if effort := _effort(call, shapes):
            body["chat_template_kwargs"]["reasoning_effort"] = effort
    if call.template_fields:
        body["chat_template_kwargs"] = {**call.template_fields, **body.get("chat_template_kwargs", {})}
    if messages and (last := messages[-1]).role == "assistant" and last.content and not last.tool_calls:
        body["add_generation_prompt"] = False
        body["continue_final_message"] = True
    return body


def chat_body(
    call: ChatCall,
    messages: Sequence[Message],
    model: Model,
    shapes: TemplateShapes = NATURAL,
    *,
    served_name: str,
    context_length: int,
) -> dict[str, Any]:
    """For CHAT_PATH. ``messages`` is the conversation that is really sent, the stored turns included."""
    body = chat_prompt(call, messages, model, shapes)
    body["model"] = served_name
    if call.tools and call.tool_choice is not None:
        body["tool_choice"] = call.tool_choice
    if call.enforced_tools is not None:
        body["chat_template_kwargs"] = {**body.get("chat_template_kwargs", {}), "tools": shown(body["tools"])}
        body["tools"] = [_wire_tool(tool) for tool in call.enforced_tools]
    body.update(_generation(call, model, context_length))
    if effort := _effort(call, shapes):
        body["reasoning_effort"] = effort
        body.get("chat_template_kwargs", {}).pop("reasoning_effort", None)
    if call.logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = call.top_logprobs
    return body


def rendered_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a body for CHAT_PATH that decide its rendering, for ``/tokenize``."""
    fields = {name: body[name] for name in _RENDERED if name in body}
    if effort := body.get("reasoning_effort"):
        fields["chat_template_kwargs"] = {**fields.get("chat_template_kwargs", {}), "reasoning_effort": effort}
    return fields


def text_body(call: TextCall, model: Model, *, served_name: str, context_length: int) -> dict[str, Any]:
    """For TEXT_PATH."""
    body: dict[str, Any] = {
        "model": served_name,
        **text_prompt(call.prompt),
        **_generation(call, model, context_length),
    }
    if call.tags is not None and _are_tokens(call.tags, model.facts.special_tokens):
        body["skip_special_tokens"] = False
    if call.logprobs:
        body["logprobs"] = call.top_logprobs
    return body


def text_prompt(prompt: str | Sequence[int]) -> dict[str, Any]:
    """The fields that decide a text's tokens: shared by a generation and by ``/tokenize``."""
    if not isinstance(prompt, str):
        return {"prompt": list(prompt)}
    return {"prompt": prompt, **({"add_special_tokens": False} if prompt.startswith(_BEGIN_OF_TEXT) else {})}


def _effort(call: ChatCall, shapes: TemplateShapes) -> str | None:
    """The level of thinking that the template takes; None: as much as the model does by itself."""
    if not isinstance(call.think, str):
        return None
    return nearest(call.think, [effort for effort in EFFORTS if effort not in shapes.refused_efforts])


def _are_tokens(tags: Tags, special_tokens: Mapping[str, int]) -> bool:
    """Would the engine leave a mark out of the text, because it is a special token?"""
    return any(mark in special_tokens for mark in (*(tags.thinking or ()), tags.mark))


def _generation(call: ChatCall | TextCall, model: Model, context_length: int) -> dict[str, Any]:
    most = max_tokens(call.checked, context_length)
    body = {
        **within(call.engine_fields, vocabulary=int(model.facts.details.get("vocab_size", 0)), most_tokens=most),
        "max_tokens": most,
        "stream": True,
        "stream_options": {"include_usage": True},
        **sampling(call.checked, model.facts.special_tokens),
    }
    if (form := response_format(call.format)) is not None:
        body["response_format"] = form
    if call.want_token_ids:
        body["return_token_ids"] = True
    return body


def _wire_messages(messages: Iterable[Message]) -> Iterable[dict[str, Any]]:
    """Messages as OpenAI writes them. Calls without an id get one, results answer the open calls in their order."""
    made = 0
    open_calls = OpenCalls()
    for message in messages:
        wire: dict[str, Any] = {"role": message.role, "content": _content(message)}
        if message.thinking and message.role == "assistant":
            wire["reasoning"] = message.thinking
        if message.tool_calls:
            calls = []
            for call in message.tool_calls:
                # nine letters and digits: the form that Mistral's templates insist on
                call_id = call.id or f"call{made:05d}"
                made += 1
                open_calls.add(call_id, call.name)
                calls.append(_wire_call(call, call_id))
            wire["tool_calls"] = calls
        if message.role == "tool":
            wire["tool_call_id"] = open_calls.answered(message) or f"call{made:05d}"
            if message.tool_name:
                wire["name"] = message.tool_name
        yield wire


def offered(call: ChatCall) -> ChatCall:
    """The call with the tools that the model may call: none where the client chose none.

    vLLM would show them to the model and not look for calls, so that calls come out as text.
    """
    return replace(call, tools=(), enforced_tools=None, tool_choice=None) if call.tool_choice == "none" else call


def for_model(call: ChatCall, model: Model) -> ChatCall:
    """The call as this model can take it: its tools, what its template reads, and no picture that it can't see."""
    return without_unseen(for_template(offered(call), model), model)


def tool_names(tools: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """What the client's tools are called; empty for one without a name."""
    return frozenset(str((tool.get("function") or {}).get("name") or "") for tool in tools)


def _wire_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as vLLM insists on it; whatever else the client wrote is not shown to the model by vLLM either."""
    given = tool.get("function") or {}
    function = {"name": "", **{key: given[key] for key, kind in _DEFINED.items() if isinstance(given.get(key), kind)}}
    if function.get("parameters", {}).get("properties") == []:  # PHP's empty map
        function["parameters"] = {**function["parameters"], "properties": {}}
    return {"type": "function", "function": function}


def _wire_call(call: ToolCall, call_id: str) -> dict[str, Any]:
    arguments = orjson.dumps(call.arguments).decode()
    return {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Plain text, or parts: an image takes the place of its ``[img]``, those without one go before the text."""
    if not message.images:
        return message.content
    pictures = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}} for image in message.images
    ]
    texts = message.content.split(IMAGE_MARK, len(pictures)) if IMAGE_MARK in message.content else [message.content]
    before = len(pictures) - (len(texts) - 1)
    parts: list[dict[str, Any]] = pictures[:before]
    for place, text in enumerate(texts):
        if place:
            parts.append(pictures[before + place - 1])
        if text:
            parts.append({"type": "text", "text": text})
    return parts

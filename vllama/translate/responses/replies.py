"""OpenAI's Responses from pieces: one object, or server-sent events. Pure.

The shape is Ollama's, and so are its constants (``store`` false …). Richer: text beside tool
calls is kept, text after a call opens an item of its own, ``tool_choice`` and ``metadata`` are echoed, and a
failure in mid-stream ends in ``response.failed``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from vllama.jsontext import encode
from vllama.translate.arguments import arguments_text
from vllama.translate.pieces import Ending, Piece, ToolCall
from vllama.translate.whole import Whole


@dataclass(frozen=True, slots=True)
class Echo:
    """What the answer repeats of its request."""

    model: str
    instructions: str | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = "auto"
    text: Mapping[str, Any] = field(default_factory=lambda: {"format": {"type": "text"}})
    temperature: float = 1
    top_p: float = 1
    reasoning: Mapping[str, Any] | None = None
    max_output_tokens: int | None = None
    truncation: str = "disabled"
    background: bool = False
    parallel_tool_calls: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The identity of one answer; its items' ids are made from ``mark``."""

    mark: str
    """Unique, letters and digits."""
    created: int
    """Unix seconds."""
    echo: Echo


ResponseStatus = Literal["in_progress", "completed", "failed"]


def response_object(
    head: ResponseHead,
    status: ResponseStatus,
    output: Sequence[Mapping[str, Any]],
    *,
    completed: int | None = None,
    usage: Mapping[str, Any] | None = None,
    error: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The response in Ollama's order of keys; ``completed``: Unix seconds."""
    echo = head.echo
    return {
        "id": f"resp_{head.mark}",
        "object": "response",
        "created_at": head.created,
        "completed_at": completed,
        "status": status,
        "incomplete_details": None,
        "model": echo.model,
        "previous_response_id": None,
        "instructions": echo.instructions,
        "output": list(output),
        "error": error,
        "tools": list(echo.tools),
        "tool_choice": echo.tool_choice,
        "truncation": echo.truncation,
        "parallel_tool_calls": echo.parallel_tool_calls,
        "text": echo.text,
        "top_p": echo.top_p,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "temperature": echo.temperature,
        "reasoning": echo.reasoning,
        "usage": usage,
        "max_output_tokens": echo.max_output_tokens,
        "max_tool_calls": None,
        "store": False,
        "background": echo.background,
        "service_tier": "default",
        "metadata": echo.metadata,
        "safety_identifier": None,
        "prompt_cache_key": None,
    }


def response_usage(final: Ending) -> dict[str, Any]:
    """Token counts in the words of this dialect."""
    return {
        "input_tokens": final.prompt_tokens,
        "output_tokens": final.completion_tokens,
        "total_tokens": final.prompt_tokens + final.completion_tokens,
        "input_tokens_details": {"cached_tokens": final.cached_tokens or 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }


def response_answer(head: ResponseHead, whole: Whole, *, completed: int) -> bytes:
    """The whole response, with the line break that Ollama's layer ends it with."""
    output: list[dict[str, Any]] = []
    if whole.thinking:
        output.append(_reasoning_item(f"rs_{head.mark}", whole.thinking))
    if whole.content or not whole.tool_calls:
        output.append(_message_item(f"msg_{head.mark}", "completed", [_text_part(whole.content)]))
    output.extend(
        _call_item(f"fc_{head.mark}_{call.index}", call, "completed", arguments_text(call.arguments))
        for call in whole.tool_calls
    )
    body = response_object(head, "completed", output, completed=completed, usage=response_usage(whole.final))
    return encode(body) + b"\n"


def _reasoning_item(item_id: str, text: str) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}]
    # Clients send the item back as they got it; ours is not encrypted because nothing in it is a secret to them
    return {"id": item_id, "type": "reasoning", "summary": summary, "encrypted_content": text}


def _message_item(item_id: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call_item(item_id: str, call: ToolCall, status: str, arguments: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
    }


class ResponseStream:
    """Writes one answer as events; an instance per request."""

    def __init__(self, head: ResponseHead, clock: Callable[[], int]) -> None:
        """``clock`` returns Unix seconds; it is called once, at the end."""
        self._head = head
        self._clock = clock
        self._sequence = 0
        self._output: list[dict[str, Any]] = []
        self._open: Literal["", "reasoning", "message"] = ""
        self._item_id = ""
        self._texts: list[str] = []
        self._delta = (b"", b"")

    def start(self) -> bytes:
        """The two events that announce the response; sent when the engine has accepted the request."""
        response = self._response("in_progress")
        created = self._event("response.created", response=response)
        return created + self._event("response.in_progress", response=response)

    def feed(self, pieces: Sequence[Piece]) -> bytes:
        """The events of these pieces."""
        out: list[bytes] = []
        for piece in pieces:
            if piece.thinking:
                out.append(self._text("reasoning", piece.thinking))
            if piece.content:
                out.append(self._text("message", piece.content))
            out.extend(self._call(call) for call in piece.tool_calls)
        return b"".join(out)

    def write_text(self, string: bytes) -> bytes:
        """The event of a text and nothing else, given as JSON."""
        text: str = orjson.loads(string)
        return self._added(string, text) if self._open == "message" else self._text("message", text)

    def finish(self, final: Ending) -> bytes:
        """Close the open item and the response; an answer without text or call gets an empty message."""
        out = self._close()
        if all(item["type"] == "reasoning" for item in self._output):
            out += self._begin("message") + self._close()
        response = self._response("completed", completed=self._clock(), usage=response_usage(final))
        return out + self._event("response.completed", response=response)

    def fail(self, status: int, message: str) -> bytes:
        """The stream's last event when the answer can't go on; what was said so far is in it."""
        out = self._close()
        error = {"code": "invalid_prompt" if 400 <= status < 500 else "server_error", "message": message}
        return out + self._event("response.failed", response=self._response("failed", error=error))

    def _response(self, status: ResponseStatus, **fields: Any) -> dict[str, Any]:
        response = response_object(self._head, status, self._output, **fields)
        if self._head.echo.reasoning is not None:
            response["reasoning"] = {"summary": None, **self._head.echo.reasoning}
        return response

    def _event(self, kind: str, **fields: Any) -> bytes:
        body = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + encode(body) + b"\n\n"

    def _text(self, kind: Literal["reasoning", "message"], text: str) -> bytes:
        opening = b"" if self._open == kind else self._close() + self._begin(kind)
        return opening + self._added(encode(text), text)

    def _added(self, string: bytes, text: str) -> bytes:
        """The event of more text in the open item."""
        self._texts.append(text)
        before, after = self._delta
        event = before + string + after % self._sequence
        self._sequence += 1
        return event

    def _begin(self, kind: Literal["reasoning", "message"]) -> bytes:
        index = len(self._output)
        # the first item of a kind has the plain mark, as in the answer that isn't streamed
        again = "" if all(item["type"] != kind for item in self._output) else f"_{index}"
        self._open, self._texts = kind, []
        self._item_id = f"{'rs' if kind == 'reasoning' else 'msg'}_{self._head.mark}{again}"
        name = self._item_id.encode()
        if kind == "reasoning":
            item: dict[str, Any] = {"id": self._item_id, "type": "reasoning", "summary": []}
            self._delta = (
                b'event: response.reasoning_summary_text.delta\ndata: {"delta":',
                b',"item_id":"%b","output_index":%d,"sequence_number":%%d,"summary_index":0,'
                b'"type":"response.reasoning_summary_text.delta"}\n\n' % (name, index),
            )
            return self._event("response.output_item.added", item=item, output_index=index)
        item = _message_item(self._item_id, "in_progress", [])
        self._delta = (
            b'event: response.output_text.delta\ndata: {"content_index":0,"delta":',
            b',"item_id":"%b","logprobs":[],"output_index":%d,"sequence_number":%%d,'
            b'"type":"response.output_text.delta"}\n\n' % (name, index),
        )
        place = {"content_index": 0, "item_id": self._item_id, "output_index": index}
        added = self._event("response.output_item.added", item=item, output_index=index)
        return added + self._event("response.content_part.added", part=_text_part(""), **place)

    def _close(self) -> bytes:
        kind, self._open = self._open, ""
        if not kind:
            return b""
        text, index = "".join(self._texts), len(self._output)
        place: dict[str, Any] = {"item_id": self._item_id, "output_index": index}
        if kind == "reasoning":
            item = _reasoning_item(self._item_id, text)
            out = self._event("response.reasoning_summary_text.done", summary_index=0, text=text, **place)
        else:
            item = _message_item(self._item_id, "completed", [_text_part(text)])
            out = self._event("response.output_text.done", content_index=0, logprobs=[], text=text, **place)
            out += self._event("response.content_part.done", content_index=0, part=_text_part(text), **place)
        self._output.append(item)
        return out + self._event("response.output_item.done", item=item, output_index=index)

    def _call(self, call: ToolCall) -> bytes:
        out = self._close()
        index = len(self._output)
        item_id, arguments = f"fc_{self._head.mark}_{call.index}", arguments_text(call.arguments)
        place: dict[str, Any] = {"item_id": item_id, "output_index": index}
        started = _call_item(item_id, call, "in_progress", "")
        item = _call_item(item_id, call, "completed", arguments)
        self._output.append(item)
        out += self._event("response.output_item.added", item=started, output_index=index)
        out += self._event("response.function_call_arguments.delta", delta=arguments, **place)
        out += self._event("response.function_call_arguments.done", arguments=arguments, **place)
        return out + self._event("response.output_item.done", item=item, output_index=index)

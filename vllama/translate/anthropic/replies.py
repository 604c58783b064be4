"""Anthropic's messages from pieces: one object, or server-sent events. Pure.

The shape is Ollama's, with four differences. An empty answer has an empty list of blocks, never null. A matched stop
sequence is named in ``stop_sequence``. Thinking that comes back after text opens a block of its own; Ollama loses it. A
failure in mid-stream ends in ``event: error``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import orjson

from vllama.jsontext import encode
from vllama.translate.arguments import arguments_text
from vllama.translate.pieces import Ending, Piece, ToolCall
from vllama.translate.whole import Whole

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


def error_body(status: int, message: str, request_id: str) -> dict[str, Any]:
    """Anthropic's error object; ``request_id`` is ``req_`` and 24 hex digits."""
    kind = _ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def message_answer(message_id: str, model: str, whole: Whole, *, reason: str | None = None) -> bytes:
    """The whole message, with the line break that Ollama's layer ends it with; ``reason`` replaces its own."""
    blocks: list[dict[str, Any]] = []
    if whole.thinking:
        blocks.append({"type": "thinking", "thinking": whole.thinking})
    if whole.content:
        blocks.append({"type": "text", "text": whole.content})
    blocks.extend(
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in whole.tool_calls
    )
    body: dict[str, Any] = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        **_stop(whole.final, reason, calls=bool(whole.tool_calls)),
        "usage": _usage(whole.final),
    }
    return encode(body) + b"\n"


def _stop(final: Ending, reason: str | None, *, calls: bool) -> dict[str, str]:
    if reason is not None:
        return {"stop_reason": reason}
    # a matched stop sequence is reported as Ollama does, end_turn; the text itself says more to those who ask
    ended = "tool_use" if calls else "end_turn"
    stop = {"stop_reason": "max_tokens" if final.reason == "length" and not calls else ended}
    return stop | {"stop_sequence": final.stop_text} if final.stop_text else stop


def _usage(final: Ending) -> dict[str, int]:
    """Anthropic's clients add what was read from a cache to ``input_tokens``, which therefore does not hold it."""
    usage = {"input_tokens": final.prompt_tokens, "output_tokens": final.completion_tokens}
    if cached := final.cached_tokens:
        usage |= {"input_tokens": final.prompt_tokens - cached, "cache_read_input_tokens": cached}
    return usage


def _event(kind: str, body: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + encode({"type": kind} | body) + b"\n\n"


class MessageStream:
    """Writes one answer as Anthropic's events; an instance per request."""

    _TEXT_END = b"}}\n\n"

    def __init__(self, message_id: str, model: str, *, input_estimate: int, request_id: str) -> None:
        """``input_estimate``: prompt tokens reported at the start; the real number comes with ``message_delta``."""
        self._id = message_id
        self._model = model
        self._input_estimate = input_estimate
        self._request_id = request_id
        self._index = -1
        self._open: Literal["", "thinking", "text"] = ""
        self._delta_start = b""
        self._calls = False

    def start(self) -> bytes:
        """``message_start``; sent with the first piece, when the engine has accepted the request."""
        message = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "usage": {"input_tokens": self._input_estimate, "output_tokens": 0},
        }
        return _event("message_start", {"message": message})

    def feed(self, pieces: Sequence[Piece]) -> bytes:
        """The events of these pieces."""
        out: list[bytes] = []
        for piece in pieces:
            if piece.thinking:
                out.append(self._text("thinking", piece.thinking))
            if piece.content:
                out.append(self._text("text", piece.content))
            out.extend(self._call(call) for call in piece.tool_calls)
        return b"".join(out)

    def write_text(self, string: bytes) -> bytes:
        """The event of a text and nothing else, given as JSON."""
        opened = self._open == "text"
        return self._delta_start + string + self._TEXT_END if opened else self._text("text", orjson.loads(string))

    def finish(self, final: Ending, *, reason: str | None = None) -> bytes:
        """Close the open block and the message; ``reason`` replaces the answer's own."""
        delta = {"delta": _stop(final, reason, calls=self._calls), "usage": _usage(final)}
        return self._close() + _event("message_delta", delta) + _event("message_stop", {})

    def fail(self, status: int, message: str) -> bytes:
        """The stream's last event when the answer can't go on."""
        return _event("error", error_body(status, message, self._request_id))

    def _text(self, kind: Literal["thinking", "text"], text: str) -> bytes:
        if self._open == kind:
            return self._delta_start + encode(text) + self._TEXT_END
        opening = self._close() + self._begin({"type": kind, kind: ""})
        self._open = kind
        name = kind.encode()
        self._delta_start = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"%b_delta","%b":' % (self._index, name, name)
        )
        return opening + self._delta_start + encode(text) + self._TEXT_END

    def _call(self, call: ToolCall) -> bytes:
        self._calls = True
        opening = self._close() + self._begin({"type": "tool_use", "id": call.id, "name": call.name, "input": {}})
        delta = {"type": "input_json_delta", "partial_json": arguments_text(call.arguments)}
        body = _event("content_block_delta", {"index": self._index, "delta": delta})
        return opening + body + _event("content_block_stop", {"index": self._index})

    def _begin(self, block: dict[str, Any]) -> bytes:
        self._index += 1
        return _event("content_block_start", {"index": self._index, "content_block": block})

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", {"index": self._index})

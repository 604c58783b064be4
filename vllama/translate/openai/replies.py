"""OpenAI's chat answers from pieces: one object, or server-sent chunks. Pure.

The shape is Ollama's. Richer: ids are unique, ``usage`` has the cached prompt tokens when there are any,
several choices are possible, and a failure in mid-stream is reported instead of swallowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vllama.jsontext import encode
from vllama.translate.arguments import arguments_text
from vllama.translate.pieces import Ending, Piece, ToolCall
from vllama.translate.whole import Whole

FINGERPRINT = "fp_ollama"
DONE = b"data: [DONE]\n\n"

_ERROR_TYPES = {400: "invalid_request_error", 404: "not_found_error"}


@dataclass(frozen=True, slots=True)
class ReplyHead:
    """What every object of one answer repeats."""

    id: str
    """With its prefix: ``chatcmpl-…``, ``cmpl-…``."""
    created: int
    """Unix seconds."""
    model: str
    """As the client typed it."""


def error_body(status: int, message: str) -> dict[str, Any]:
    """OpenAI's error object."""
    kind = _ERROR_TYPES.get(status, "api_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def error_event(status: int, message: str) -> bytes:
    """The same in mid-stream: nothing follows it, least of all ``[DONE]``."""
    return b"data: " + encode(error_body(status, message)) + b"\n\n"


def usage(finals: Sequence[Ending], *, each: int = 0) -> dict[str, Any]:
    """Token counts of one request; ``each`` of its choices share one prompt (0: all do)."""
    prompts = len(finals) // each if each else 1
    if prompts > 1:
        prompt = sum(final.prompt_tokens for final in finals) // each
        cached = sum(final.cached_tokens or 0 for final in finals) // each
    else:
        prompt = max((final.prompt_tokens for final in finals), default=0)
        cached = min((final.cached_tokens or 0 for final in finals), default=0)
    completion = sum(final.completion_tokens for final in finals)
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
    return counts


def chat_answer(head: ReplyHead, wholes: Sequence[Whole], *, reason: str | None = None) -> bytes:
    """The whole ``chat.completion`` object, with the line break that Ollama's layer ends it with.

    ``reason`` replaces the answers' own (``load``).
    """
    choices = [_choice(index, whole, reason) for index, whole in enumerate(wholes)]
    return encode(_completion(head, choices, [whole.final for whole in wholes])) + b"\n"


def rendered_answer(head: ReplyHead, info: Mapping[str, Any]) -> bytes:
    """The rendered prompt instead of an answer (``_debug_render_only``)."""
    choice = {"index": 0, "message": {"role": "", "content": ""}, "finish_reason": None}
    return encode(_completion(head, [choice], []) | {"_debug_info": info}) + b"\n"


def _completion(head: ReplyHead, choices: list[dict[str, Any]], finals: Sequence[Ending]) -> dict[str, Any]:
    return {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
        "usage": usage(finals),
    }


def _choice(index: int, whole: Whole, reason: str | None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": whole.content}
    if whole.thinking:
        message["reasoning"] = whole.thinking
    if whole.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in whole.tool_calls]
    choice: dict[str, Any] = {
        "index": index,
        "message": message,
        "finish_reason": reason or finish_reason(whole.final, calls=bool(whole.tool_calls)),
    }
    if whole.logprobs:
        choice["logprobs"] = {"content": list(whole.logprobs)}
    return choice


def finish_reason(final: Ending, *, calls: bool) -> str:
    """``tool_calls`` only where the answer ended by itself."""
    return "tool_calls" if calls and final.reason == "stop" else final.reason


def _tool_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments_text(call.arguments)}
    return {"id": call.id, "index": call.index, "type": "function", "function": function}


class StreamEnd:
    """What follows the last choice of a streamed answer: the usage, when it was asked for, and ``[DONE]``."""

    def __init__(
        self, choices: int, usage_chunk: Callable[[dict[str, Any]], dict[str, Any]] | None, *, each: int = 0
    ) -> None:
        """``usage_chunk`` makes the chunk of the counts; None: nobody asked for them. ``each`` as in ``usage``."""
        self._open = choices
        self._each = each
        self._usage_chunk = usage_chunk
        self._finals: list[Ending] = []

    def after(self, final: Ending) -> bytes:
        """What to write behind a choice's last chunk: nothing until all have ended."""
        self._finals.append(final)
        if len(self._finals) < self._open:
            return b""
        if self._usage_chunk is None:
            return DONE
        return b"data: " + encode(self._usage_chunk(usage(self._finals, each=self._each))) + b"\n\n" + DONE


def chat_streams(head: ReplyHead, *, include_usage: bool = False, choices: int = 1) -> list[ChatStream]:
    """The writers of one answer, one for each choice."""

    def usage_chunk(counts: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": head.id,
            "object": "chat.completion.chunk",
            "created": head.created,
            "model": head.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [],
            "usage": counts,
        }

    ending = StreamEnd(choices, usage_chunk if include_usage else None)
    return [ChatStream(head, index, ending) for index in range(choices)]


class ChatStream:
    """Writes one choice as chunks, from bytes that are prepared once: only the text is encoded each time."""

    __slots__ = ("_calls", "_content", "_ending", "_opened", "_prefix")

    _SUFFIX = b'},"finish_reason":null}]}\n\n'

    def __init__(self, head: ReplyHead, index: int, ending: StreamEnd) -> None:
        self._prefix = (
            b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,'
            b'"system_fingerprint":%b,"choices":[{"index":%d,"delta":{'
        ) % (encode(head.id), head.created, encode(head.model), encode(FINGERPRINT), index)
        self._content = self._prefix + b'"content":'
        self._ending = ending
        self._opened = False
        self._calls = False

    def start(self) -> bytes:
        """Nothing precedes the first chunk."""
        return b""

    def feed(self, pieces: Sequence[Piece]) -> bytes:
        """The chunks of these pieces."""
        return b"".join([self._of(piece) for piece in pieces])

    def write_text(self, string: bytes) -> bytes:
        """The chunk of a text and nothing else, given as JSON."""
        return self._content + string + self._SUFFIX if self._opened else self._chunk(Piece(orjson.loads(string)))

    def finish(self, final: Ending, *, reason: str | None = None) -> bytes:
        """The chunk that carries the reason; an answer without any piece is opened first.

        ``reason`` replaces the answer's own (``load``).
        """
        opening = b"" if self._opened else self._chunk(Piece())
        reported = encode(reason or finish_reason(final, calls=self._calls))
        return opening + self._prefix + b'},"finish_reason":' + reported + b"}]}\n\n" + self._ending.after(final)

    def fail(self, status: int, message: str) -> bytes:
        """The stream's last event when the answer can't go on."""
        return error_event(status, message)

    def _of(self, piece: Piece) -> bytes:
        """The chunk of one piece; two where thinking and answer meet in it."""
        if self._opened and not piece.thinking and not piece.tool_calls and piece.logprobs is None:
            return self.write_text(encode(piece.content))
        if piece.thinking and (piece.content or piece.tool_calls):
            first = self._chunk(Piece(thinking=piece.thinking))
            return first + self._chunk(Piece(piece.content, "", piece.tool_calls, piece.logprobs))
        return self._chunk(piece)

    def _chunk(self, piece: Piece) -> bytes:
        content = b'"content":' + encode(piece.content)
        fields = [content] if self._opened else [b'"role":"assistant"', content]
        self._opened = True
        if piece.thinking:
            fields.append(b'"reasoning":' + encode(piece.thinking))
        if piece.tool_calls:
            self._calls = True
            fields.append(b'"tool_calls":' + encode([_tool_call(call) for call in piece.tool_calls]))
        delta = self._prefix + b",".join(fields)
        if not piece.logprobs:
            return delta + self._SUFFIX
        return delta + b'},"finish_reason":null,"logprobs":{"content":' + encode(piece.logprobs) + b"}}]}\n\n"

"""Ollama's chat and generate objects from pieces. Pure.

A writer belongs to one answer. A plain piece of text is by far the most frequent line, so it is put together from
bytes that were made once; everything else goes through a dict in the contract's key order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vllama.jsontext import encode
from vllama.times import utc_time
from vllama.translate.pieces import Ending, Piece, Timing, ToolCall
from vllama.translate.whole import Whole

# Joined, because formatting bytes takes several times as long.
_TO_CONTENT = b'","message":{"role":"assistant","content":'
_AFTER_CONTENT = b'},"done":false}'
_TO_RESPONSE = b'","response":'
_AFTER_RESPONSE = b',"done":false}'


class ReplyWriter(Protocol):
    """One answer's objects, without line breaks; ``now`` is in Unix nanoseconds."""

    def piece(self, piece: Piece, now: int) -> bytes:
        """A step of the answer."""
        ...

    def write_text(self, string: bytes, now: int) -> bytes:
        """A step that is text and nothing else, given as the JSON string that it is to be."""
        ...

    def last(self, final: Ending, timing: Timing, now: int) -> bytes:
        """The end of a stream."""
        ...

    def whole(self, whole: Whole, timing: Timing, now: int) -> bytes:
        """The answer to a request that wanted no stream."""
        ...

    def mark(self, reason: str, now: int) -> bytes:
        """The answer to a load or an unload."""
        ...


class ChatWriter:
    """``/api/chat``. ``model`` is the request's string, verbatim."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._head = b'{"model":' + encode(model) + b',"created_at":"'

    def piece(self, piece: Piece, now: int) -> bytes:
        """A step of the answer."""
        if not piece.thinking and not piece.tool_calls and piece.logprobs is None:
            return self.write_text(encode(piece.content), now)
        out = self._object(now, _message(piece.content, piece.thinking, piece.tool_calls))
        if piece.logprobs:
            out["logprobs"] = piece.logprobs
        return encode(out)

    def write_text(self, string: bytes, now: int) -> bytes:
        """A step that is text and nothing else."""
        return b"".join((self._head, utc_time(now).encode(), _TO_CONTENT, string, _AFTER_CONTENT))

    def last(self, final: Ending, timing: Timing, now: int) -> bytes:
        """The end of a stream."""
        return encode(self._object(now, _message("", "", ()), final.reason) | metrics(final, timing))

    def whole(self, whole: Whole, timing: Timing, now: int) -> bytes:
        """The answer to a request that wanted no stream."""
        message = _message(whole.content, whole.thinking, whole.tool_calls)
        out = self._object(now, message, whole.final.reason)
        if whole.logprobs:
            out["logprobs"] = whole.logprobs
        return encode(out | metrics(whole.final, timing))

    def mark(self, reason: str, now: int) -> bytes:
        """The answer to a load or an unload."""
        return encode(self._object(now, _message("", "", ()), reason))

    def rendered(self, info: Mapping[str, Any], now: int) -> bytes:
        """The rendered prompt instead of an answer (``_debug_render_only``)."""
        return encode(self._object(now, {"role": "", "content": ""}) | {"_debug_info": info})

    def _object(self, now: int, message: Mapping[str, Any], reason: str = "") -> dict[str, Any]:
        out = {"model": self._model, "created_at": utc_time(now), "message": message, "done": bool(reason)}
        if reason:
            out["done_reason"] = reason
        return out


class GenerateWriter:
    """``/api/generate``. ``context``: the last object holds the token ids."""

    def __init__(self, model: str, *, context: bool = False) -> None:
        self._model = model
        self._context = context
        self._head = b'{"model":' + encode(model) + b',"created_at":"'

    def piece(self, piece: Piece, now: int) -> bytes:
        """A step of the answer."""
        if not piece.thinking and not piece.tool_calls and piece.logprobs is None:
            return self.write_text(encode(piece.content), now)
        out = self._object(now, piece.content, piece.thinking)
        if piece.tool_calls:
            out["tool_calls"] = [_call(call) for call in piece.tool_calls]
        if piece.logprobs:
            out["logprobs"] = piece.logprobs
        return encode(out)

    def write_text(self, string: bytes, now: int) -> bytes:
        """A step that is text and nothing else."""
        return b"".join((self._head, utc_time(now).encode(), _TO_RESPONSE, string, _AFTER_RESPONSE))

    def last(self, final: Ending, timing: Timing, now: int) -> bytes:
        """The end of a stream."""
        return encode(self._object(now, "", "", final.reason) | self._ids(final) | metrics(final, timing))

    def whole(self, whole: Whole, timing: Timing, now: int) -> bytes:
        """The answer to a request that wanted no stream."""
        out = self._object(now, whole.content, whole.thinking, whole.final.reason)
        out |= self._ids(whole.final) | metrics(whole.final, timing)
        if whole.tool_calls:
            out["tool_calls"] = [_call(call) for call in whole.tool_calls]
        if whole.logprobs:
            out["logprobs"] = whole.logprobs
        return encode(out)

    def mark(self, reason: str, now: int) -> bytes:
        """The answer to a load or an unload."""
        return encode(self._object(now, "", "", reason))

    def rendered(self, info: Mapping[str, Any], now: int) -> bytes:
        """The rendered prompt instead of an answer (``_debug_render_only``)."""
        return encode(self._object(now, "", "") | {"_debug_info": info})

    def _object(self, now: int, text: str, thinking: str, reason: str = "") -> dict[str, Any]:
        out: dict[str, Any] = {"model": self._model, "created_at": utc_time(now), "response": text}
        if thinking:
            out["thinking"] = thinking
        out["done"] = bool(reason)
        if reason:
            out["done_reason"] = reason
        return out

    def _ids(self, final: Ending) -> dict[str, Any]:
        return {"context": final.token_ids} if self._context and final.token_ids else {}


def metrics(final: Ending, timing: Timing) -> dict[str, int]:
    """The numbers of a finished answer.

    ``prompt_eval_count`` holds the tokens that were found in the prefix cache, too; the duration is that of the others.
    """
    out = {
        "total_duration": timing.total,
        "load_duration": timing.load,
        "prompt_eval_count": final.prompt_tokens,
        "prompt_eval_cached_count": final.cached_tokens,
        "prompt_eval_duration": timing.prompt,
        "eval_count": final.completion_tokens,
        "eval_duration": timing.answer,
    }
    # a count of 0 is left out, as in Ollama, save that of the cache: there it says that nothing was found
    return {key: value for key, value in out.items() if value or (value == 0 and key == "prompt_eval_cached_count")}


def _message(content: str, thinking: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant", "content": content}
    if thinking:
        out["thinking"] = thinking
    if calls:
        out["tool_calls"] = [_call(call) for call in calls]
    return out


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"index": call.index, "name": call.name, "arguments": call.arguments}
    return {"id": call.id, "function": function} if call.id else {"function": function}


def debug_info(prompt: str, images: int) -> dict[str, Any]:
    """What ``_debug_render_only`` asks for."""
    return {"rendered_template": prompt, "image_count": images} if images else {"rendered_template": prompt}

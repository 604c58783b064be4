"""vLLM's JSON shapes for chat and completions, byte for byte where a client could tell."""

from __future__ import annotations

import time
import uuid
from typing import Any

import orjson

from tests.fakes.answers import Token, token_id
from tests.fakes.batch import Sequence

_FINGERPRINT = "vllm-0.32.0-fake0000"
DONE = b"data: [DONE]\n\n"


def event(payload: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def error(status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> dict[str, Any]:
    """vLLM's error body."""
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def _logprob(token: Token) -> dict[str, Any]:
    return {"token": token.text, "logprob": -0.125, "bytes": list(token.text.encode())}


class Answer:
    """Writes one request's answer, streamed or whole."""

    def __init__(self, model: str, body: dict[str, Any], prompt: list[int], sequence: Sequence, *, chat: bool) -> None:
        self._chat = chat
        self._body = body
        self._prompt = prompt
        self._sequence = sequence
        self._model = model
        self._created = int(time.time())
        name = body.get("request_id") or uuid.uuid4().hex[:16]
        self._id = f"chatcmpl-{name}" if chat else f"cmpl-{name}"
        self._object = "chat.completion.chunk" if chat else "text_completion"
        self._ids = bool(body.get("return_token_ids"))
        self._plain = chat and not self._ids and not body.get("logprobs")
        head = orjson.dumps({**self._top(), "choices": []})[:-2]
        self._before = b"data: " + head + b'{"index":0,"delta":{"content":'
        self._after = b'},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n'
        self._started = False

    def _top(self, kind: str = "") -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind or self._object,
            "created": self._created,
            "model": self._model,
        }

    # --- streamed

    def events(self, tokens: list[Token]) -> bytes:
        """The events of these tokens; the last one of a finished sequence carries ``finish_reason``."""
        last = len(tokens) - 1 if self._sequence.finish in {"stop", "length"} else -1
        return b"".join(self._event(token, final=at == last) for at, token in enumerate(tokens))

    def _event(self, token: Token, *, final: bool) -> bytes:
        head = b""
        if self._chat and not self._started:
            head = event(self._role())
        first, self._started = not self._started, True
        if self._plain and token.kind == "content" and not final:
            return head + self._before + orjson.dumps(token.text) + self._after
        return head + event(self._chat_chunk(token, final) if self._chat else self._text_chunk(token, final, first))

    def _role(self) -> dict[str, Any]:
        delta = {"role": "assistant", "content": ""}
        return {
            **self._top(),
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
            "prompt_token_ids": self._prompt if self._ids else None,
            "prompt_text": None,
        }

    def _chat_chunk(self, token: Token, final: bool) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "delta": _delta(token), "logprobs": None, "finish_reason": None}
        if self._body.get("logprobs"):
            entry = _logprob(token)
            top = [_logprob(token)][: self._body.get("top_logprobs") or 0]
            choice["logprobs"] = {"content": [{**entry, "top_logprobs": top}]}
        if final:
            choice["finish_reason"] = self._finish()
            choice["stop_reason"] = self._sequence.stop_reason
        choice["token_ids"] = [token_id(token.text)] if self._ids else None
        chunk = {**self._top(), "choices": [choice]}
        if final and not self._wants_usage():
            chunk["system_fingerprint"] = _FINGERPRINT
        return chunk

    def _text_chunk(self, token: Token, final: bool, first: bool) -> dict[str, Any]:
        logprobs = None
        if self._body.get("logprobs") is not None:
            logprobs = {
                "text_offset": [0],
                "token_logprobs": [-0.125],
                "tokens": [token.text],
                "top_logprobs": [{token.text: -0.125}],
            }
        choice = {
            "index": 0,
            "text": token.text,
            "logprobs": logprobs,
            "finish_reason": self._finish() if final else None,
            "stop_reason": self._sequence.stop_reason if final else None,
            "prompt_token_ids": self._prompt if first and self._ids else None,
            "token_ids": [token_id(token.text)] if self._ids else None,
        }
        return {**self._top(), "choices": [choice]}

    def ending(self) -> bytes:
        """What follows the last token: usage when asked for, then ``[DONE]``."""
        sequence = self._sequence
        if sequence.finish == "error":
            dead = "EngineCore encountered an issue. See stack trace (above) for the root cause."
            return event(error(500, dead, "InternalServerError")) + DONE
        tail = b""
        if sequence.finish == "abort":
            tail = self._event(Token("content", ""), final=True)
        if self._wants_usage():
            usage = {"usage": self.usage(), "system_fingerprint": _FINGERPRINT, "metrics": self.metrics()}
            tail += event({**self._top(), "choices": [], **usage})
        return tail + DONE

    # --- whole

    def whole(self, tokens: list[Token]) -> dict[str, Any]:
        """The answer to a request that does not stream."""
        choice: dict[str, Any] = {"index": 0}
        content = "".join(token.text for token in tokens if token.kind == "content")
        if self._chat:
            reasoning = "".join(token.text for token in tokens if token.kind == "reasoning")
            message: dict[str, Any] = {"role": "assistant", "content": content or None, "refusal": None}
            calls = _calls(tokens)
            if calls:
                message["tool_calls"] = calls
            message["reasoning"] = reasoning or None
            choice["message"] = message
            choice["logprobs"] = None
            if self._body.get("logprobs"):
                entries = [{**_logprob(token), "top_logprobs": []} for token in tokens]
                choice["logprobs"] = {"content": entries}
        else:
            choice["text"] = content
            choice["logprobs"] = None
        choice |= {
            "finish_reason": self._finish(),
            "stop_reason": self._sequence.stop_reason,
            "token_ids": [token_id(token.text) for token in tokens] if self._ids else None,
        }
        if not self._chat:
            choice["prompt_token_ids"] = self._prompt if self._ids else None
        return {
            **self._top("chat.completion" if self._chat else "text_completion"),
            "choices": [choice],
            "service_tier": None,
            "system_fingerprint": _FINGERPRINT,
            "usage": self.usage(),
            "prompt_token_ids": self._prompt if self._chat and self._ids else None,
            "kv_transfer_params": None,
            "metrics": self.metrics(),
        }

    def usage(self) -> dict[str, Any]:
        """Counts by the engine."""
        made = self._sequence.made
        usage: dict[str, Any] = {
            "prompt_tokens": len(self._prompt),
            "total_tokens": len(self._prompt) + made,
            "completion_tokens": made,
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        if self._chat:
            usage["completion_tokens_details"] = {"reasoning_tokens": self._sequence.reasoning}
        return usage

    def metrics(self) -> dict[str, Any]:
        """``--enable-per-request-metrics``."""
        sequence = self._sequence
        decode = (sequence.last - sequence.first) * 1e3
        total = max(sequence.last - sequence.scheduled, 1e-9)
        return {
            "time_to_first_token_ms": (sequence.first - sequence.scheduled) * 1e3,
            "generation_time_ms": decode,
            "queue_time_ms": (sequence.scheduled - sequence.queued) * 1e3,
            "mean_itl_ms": decode / (sequence.made - 1) if sequence.made > 1 else 0.0,
            "tokens_per_second": sequence.made / total,
        }

    def _finish(self) -> str:
        sequence = self._sequence
        return "tool_calls" if sequence.finish == "stop" and sequence.called else sequence.finish

    def _wants_usage(self) -> bool:
        return bool((self._body.get("stream_options") or {}).get("include_usage"))


def _delta(token: Token) -> dict[str, Any]:
    if token.kind == "reasoning":
        return {"reasoning": token.text}
    if token.kind == "content":
        return {"content": token.text}
    if token.name:
        opened = {
            "id": f"chatcmpl-tool-{uuid.uuid4().hex[:16]}",
            "type": "function",
            "index": token.index,
            "function": {"name": token.name},
        }
        return {"content": None, "tool_calls": [opened]}
    return {"content": None, "tool_calls": [{"index": token.index, "function": {"arguments": token.text}}]}


def _calls(tokens: list[Token]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    for token in tokens:
        if token.kind != "tool":
            continue
        if token.name:
            function = {"name": token.name, "arguments": ""}
            calls.append({"id": f"chatcmpl-tool-{uuid.uuid4().hex[:16]}", "type": "function", "function": function})
        else:
            calls[-1]["function"]["arguments"] += token.text
    return calls

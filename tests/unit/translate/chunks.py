"""Builds vLLM's stream chunks for the tests of the readers."""

from __future__ import annotations

from typing import Any

import orjson


def chat(delta: dict[str, Any] | None = None, reason: str | None = None, **more: Any) -> bytes:
    """A chunk of a chat completion."""
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": reason, **more}
    if reason:
        choice.setdefault("stop_reason", None)
    return orjson.dumps({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]})


def text(text: str, reason: str | None = None, **more: Any) -> bytes:
    """A chunk of a completion."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason, "stop_reason": None, **more}
    return orjson.dumps({"id": "cmpl-1", "object": "text_completion", "choices": [choice]})


def usage(prompt: int = 5, completion: int = 3, **more: Any) -> bytes:
    """The last payload."""
    metrics = {"time_to_first_token_ms": 10.5, "generation_time_ms": 20.0, "queue_time_ms": 1.0, "mean_itl_ms": 10.0}
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return orjson.dumps({"id": "x", "choices": [], "usage": counts, "metrics": metrics, **more})


def call(index: int, name: str = "", arguments: str = "", call_id: str = "") -> dict[str, Any]:
    """A delta with a piece of a tool call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value}
    piece: dict[str, Any] = {"index": index, "function": function}
    if call_id:
        piece |= {"id": call_id, "type": "function"}
    return {"content": None, "tool_calls": [piece]}


def logprobs(*tokens: str) -> dict[str, Any]:
    """Log probabilities of a chunk's tokens."""
    entries = [{"token": t, "logprob": -0.5, "bytes": list(t.encode()), "top_logprobs": []} for t in tokens]
    return {"content": entries}


def sse(payloads: list[bytes]) -> bytes:
    """A whole stream's bytes, ``[DONE]`` included."""
    return b"".join(b"data: " + payload + b"\n\n" for payload in [*payloads, b"[DONE]"])

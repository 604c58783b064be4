"""What is asked: the same work in the dialect of each target. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

Dialect = Literal["ollama", "openai"]

# A small model counts by heart and a big one without fail, so both sides say the same and equally much.
PROMPT = "Count to 50."


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request: greedy, without thinking, streamed."""

    prompt: str = PROMPT
    max_tokens: int = 128

    def path(self, dialect: Dialect) -> str:
        """Where a request of this dialect goes."""
        return "/api/chat" if dialect == "ollama" else "/v1/chat/completions"

    def body(self, dialect: Dialect, model: str) -> bytes:
        """The request as JSON."""
        messages = [{"role": "user", "content": self.prompt}]
        body: dict[str, Any] = {"model": model, "messages": messages, "stream": True}
        if dialect == "ollama":
            body |= {"think": False, "options": {"temperature": 0, "num_predict": self.max_tokens}}
        else:
            body |= {
                "temperature": 0,
                "max_tokens": self.max_tokens,
                "stream_options": {"include_usage": True},
                "chat_template_kwargs": {"enable_thinking": False},
            }
        return orjson.dumps(body)


def tokens_of(dialect: Dialect, tail: bytes) -> int:
    """Generated tokens by the server's own count, from the last bytes of an answer; -1 when it did not end well."""
    for line in reversed(tail.split(b"\n")):
        text = line.removeprefix(b"data:").strip()
        if not text.startswith(b"{"):
            continue
        try:
            chunk = orjson.loads(text)
        except orjson.JSONDecodeError:
            return -1
        if dialect == "ollama":
            return int(chunk["eval_count"]) if chunk.get("done") else -1
        return int((chunk.get("usage") or {}).get("completion_tokens", -1))
    return -1

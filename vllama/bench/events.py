"""Reads an answer as it comes: when each piece of text arrived, and what the server counted. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import orjson

from vllama.bench.samples import Sample
from vllama.bench.workload import Dialect

_SAID: Final = 200
"""Characters of an error that are kept."""
_UNCOUNTED: Final = "the answer ended without its last part, the one with the counts of tokens"


class TimedAnswer:
    """One answer in the making. Times are seconds since the request was sent."""

    def __init__(self, dialect: Dialect, *, stream: bool) -> None:
        self._dialect = dialect
        self._stream = stream
        self._rest = b""
        self._arrivals: list[float] = []
        self._counts: tuple[int, int, int | None] | None = None
        self._error = ""

    def feed(self, data: bytes, at: float) -> None:
        """Bytes of the body as they came, cut anywhere."""
        if not self._stream:
            self._rest += data
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line, at)

    def end(self, status: int, at: float) -> Sample:
        """The body is complete."""
        self._line(self._rest, at)
        if status != 200 and not self._error:
            self._error = f"{status}: {self._rest.decode('utf-8', 'replace').strip()[:_SAID] or 'an empty answer'}"
        elif status != 200:
            self._error = f"{status}: {self._error}"
        if not self._error and self._counts is None:
            self._error = _UNCOUNTED
        if self._error or self._counts is None:
            return Sample(total=at, error=self._error)
        tokens_in, tokens_out, cached = self._counts
        arrivals = self._arrivals if self._stream else []
        return Sample(
            total=at,
            first=arrivals[0] if arrivals else None,
            gaps=tuple(round(after - before, 6) for before, after in pairwise(arrivals)),  # microseconds, to be kept
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cached=cached,
        )

    def _line(self, line: bytes, at: float) -> None:
        text = line.removeprefix(b"data:").strip()
        if not text.startswith(b"{"):
            return
        try:
            chunk = orjson.loads(text)
        except orjson.JSONDecodeError:
            self._error = f"no JSON: {text[:_SAID].decode('utf-8', 'replace')}"
            return
        if "error" in chunk:
            self._error = _words_of(chunk["error"])
        elif self._dialect == "ollama":
            self._ollama(chunk, at)
        else:
            self._openai(chunk, at)

    def _ollama(self, chunk: dict[str, Any], at: float) -> None:
        message = chunk.get("message") or chunk
        if message.get("content") or message.get("thinking") or message.get("response"):
            self._arrivals.append(at)
        if chunk.get("done"):
            cached = chunk.get("prompt_eval_cached_count")
            self._counts = int(chunk.get("prompt_eval_count") or 0), int(chunk.get("eval_count") or 0), cached

    def _openai(self, chunk: dict[str, Any], at: float) -> None:
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or choice.get("message") or {}
            said = delta.get("content") or delta.get("reasoning") or delta.get("reasoning_content")
            # a completion's event without text is a token that is not shown: a thought, half a character, the end
            if said or "text" in choice:
                self._arrivals.append(at)
        usage = chunk.get("usage")
        if usage:
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
            self._counts = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0), cached


def _words_of(error: Any) -> str:
    """The words of an error object of either API."""
    text = error.get("message", error) if isinstance(error, dict) else error
    return str(text)[:_SAID]

"""OpenAI's legacy text completions from pieces: one object, or server-sent chunks (contract 6.3). Pure.

The shape is Ollama's: thinking is not shown on this route (while a model thinks, empty chunks keep the
connection alive), the last chunk of text carries the reason. Richer: ``logprobs`` are given when asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vllama.translate.jsontext import encode
from vllama.translate.openai_replies import DONE, FINGERPRINT, Head, error_event, usage
from vllama.translate.pieces import Final, Piece
from vllama.translate.whole import Whole


def completion_answer(head: Head, wholes: Sequence[Whole], *, reason: str | None = None) -> bytes:
    """The whole ``text_completion`` object; ``reason`` replaces the answers' own (``load``)."""
    body = {
        "id": head.id,
        "object": "text_completion",
        "created": head.created,
        "model": head.model,
        "system_fingerprint": FINGERPRINT,
        "choices": [_choice(index, whole, reason) for index, whole in enumerate(wholes)],
        "usage": usage([whole.final for whole in wholes]),
    }
    return encode(body) + b"\n"


def _choice(index: int, whole: Whole, reason: str | None) -> dict[str, Any]:
    choice = {"text": whole.content, "index": index, "finish_reason": reason or whole.final.reason}
    if whole.answer_logprobs:
        choice["logprobs"] = text_logprobs(whole.answer_logprobs, 0)
    return choice


def text_logprobs(entries: Iterable[dict[str, Any]], offset: int) -> dict[str, Any]:
    """OpenAI's old form, four parallel lists; ``offset`` is where the first token begins in the answer's text.

    An alternative list always holds the chosen token itself, as vLLM gives it.
    """
    tokens, values, alternatives, offsets = [], [], [], []
    for entry in entries:
        tokens.append(entry["token"])
        values.append(entry["logprob"])
        alternatives.append(
            {other["token"]: other["logprob"] for other in entry.get("top_logprobs") or ()}
            | {entry["token"]: entry["logprob"]}
        )
        offsets.append(offset)
        offset += len(entry["token"])
    return {"tokens": tokens, "token_logprobs": values, "top_logprobs": alternatives, "text_offset": offsets}


class CompletionStream:
    """Writes one answer as chunks; an instance per request, fed choice by choice in any order."""

    def __init__(self, head: Head, *, include_usage: bool = False, choices: int = 1) -> None:
        self._start = b'data: {"id":%b,"object":"text_completion","created":%d,"choices":[' % (
            encode(head.id),
            head.created,
        )
        self._tail = b'],"model":%b,"system_fingerprint":%b' % (encode(head.model), encode(FINGERPRINT))
        # Ollama's chunks carry zeros here until the last one tells the numbers; clients read the last
        self._end = (b',"usage":' + encode(usage(())) if include_usage else b"") + b"}\n\n"
        self._include_usage = include_usage
        self._lengths = [0] * choices
        self._finals: list[Final] = []

    def start(self) -> bytes:
        """Nothing precedes the first chunk."""
        return b""

    def feed(self, pieces: Sequence[Piece], choice: int = 0) -> bytes:
        """The chunks of these pieces; one empty chunk when the model only thought."""
        shown = [piece for piece in pieces if piece.content or (piece.logprobs and not piece.thinking)]
        if not shown:
            return self._chunk("", choice, b"null") if pieces else b""
        return b"".join([self._of(piece, choice) for piece in shown])

    def finish(self, final: Final, choice: int = 0, *, reason: str | None = None) -> bytes:
        """The choice's last chunk; after the last choice also the usage and ``[DONE]``."""
        self._finals.append(final)
        out = self._chunk("", choice, encode(reason or final.reason))
        if len(self._finals) < len(self._lengths):
            return out
        if self._include_usage:
            out += self._start + self._tail + b',"usage":' + encode(usage(self._finals)) + b"}\n\n"
        return out + DONE

    def fail(self, status: int, message: str) -> bytes:
        """The stream's last event when the answer can't go on."""
        return error_event(status, message)

    def _of(self, piece: Piece, choice: int) -> bytes:
        entries = None if piece.thinking else piece.logprobs
        logprobs = text_logprobs(entries, self._lengths[choice]) if entries else None
        self._lengths[choice] += len(piece.content)
        return self._chunk(piece.content, choice, b"null", logprobs)

    def _chunk(self, text: str, choice: int, reason: bytes, logprobs: dict[str, Any] | None = None) -> bytes:
        given = b',"logprobs":' + encode(logprobs) if logprobs else b""
        body = b'{"text":%b,"index":%d,"finish_reason":%b%b}' % (encode(text), choice, reason, given)
        return self._start + body + self._tail + self._end

"""OpenAI's legacy text completions from pieces: one object, or server-sent chunks. Pure.

The shape is Ollama's: thinking is not shown on this route (while a model thinks, empty chunks keep the
connection alive), the last chunk of text carries the reason. Richer: ``logprobs`` are given when asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from vllama.jsontext import encode
from vllama.translate.openai.replies import FINGERPRINT, ReplyHead, StreamEnd, error_event, usage
from vllama.translate.pieces import Ending, Piece
from vllama.translate.whole import Whole


def completion_answer(head: ReplyHead, wholes: Sequence[Whole], *, each: int = 0, reason: str | None = None) -> bytes:
    """The whole ``text_completion`` object; ``each`` answers to a prompt (0: there is one prompt).

    ``reason`` replaces the answers' own (``load``).
    """
    body = {
        "id": head.id,
        "object": "text_completion",
        "created": head.created,
        "model": head.model,
        "system_fingerprint": FINGERPRINT,
        "choices": [_choice(index, whole, reason) for index, whole in enumerate(wholes)],
        "usage": usage([whole.final for whole in wholes], each=each),
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


def completion_streams(
    head: ReplyHead, *, include_usage: bool = False, choices: int = 1, each: int = 0
) -> list[CompletionStream]:
    """The writers of one answer, one for each choice; ``each`` of them answer one prompt (0: all)."""

    def usage_chunk(counts: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": head.id,
            "object": "text_completion",
            "created": head.created,
            "choices": [],
            "model": head.model,
            "system_fingerprint": FINGERPRINT,
            "usage": counts,
        }

    ending = StreamEnd(choices, usage_chunk if include_usage else None, each=each)
    return [CompletionStream(head, index, ending, include_usage=include_usage) for index in range(choices)]


class CompletionStream:
    """Writes one choice as chunks."""

    def __init__(self, head: ReplyHead, index: int, ending: StreamEnd, *, include_usage: bool) -> None:
        self._before = b'data: {"id":%b,"object":"text_completion","created":%d,"choices":[{"text":' % (
            encode(head.id),
            head.created,
        )
        self._between = b',"index":%d,"finish_reason":' % index
        # Ollama's chunks carry zeros here until the last one has the numbers; clients read the last
        counts = b',"usage":' + encode(usage(())) if include_usage else b""
        self._after = b'}],"model":%b,"system_fingerprint":%b%b}\n\n' % (
            encode(head.model),
            encode(FINGERPRINT),
            counts,
        )
        self._ending = ending
        self._length = 0

    def start(self) -> bytes:
        """Nothing precedes the first chunk."""
        return b""

    def feed(self, pieces: Sequence[Piece]) -> bytes:
        """The chunks of these pieces; one empty chunk when the model only thought."""
        shown = [piece for piece in pieces if piece.content or (piece.logprobs and not piece.thinking)]
        if not shown:
            return self._chunk("") if pieces else b""
        return b"".join([self._of(piece) for piece in shown])

    def write_text(self, string: bytes) -> bytes:
        """The chunk of a text and nothing else, given as JSON."""
        self._length += len(orjson.loads(string))
        return self._before + string + self._between + b"null" + self._after

    def finish(self, final: Ending, *, reason: str | None = None) -> bytes:
        """The choice's last chunk; ``reason`` replaces the answer's own (``load``)."""
        return self._chunk("", encode(reason or final.reason)) + self._ending.after(final)

    def fail(self, status: int, message: str) -> bytes:
        """The stream's last event when the answer can't go on."""
        return error_event(status, message)

    def _of(self, piece: Piece) -> bytes:
        entries = None if piece.thinking else piece.logprobs
        logprobs = text_logprobs(entries, self._length) if entries else None
        self._length += len(piece.content)
        return self._chunk(piece.content, logprobs=logprobs)

    def _chunk(self, text: str, reason: bytes = b"null", logprobs: dict[str, Any] | None = None) -> bytes:
        given = b',"logprobs":' + encode(logprobs) if logprobs else b""
        return self._before + encode(text) + self._between + reason + given + self._after

"""vLLM's stream into pieces: chat completions and completions. Pure, one reader per answer.

Feed the payloads of the ``data:`` lines; out come ``Piece`` and, with vLLM's usage at the end, one ``Ending``. Tool
calls come whole, thinking and answer lose the white space after their tags, tokens of tags and of the end leave
no log probabilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson

from vllama.errors import EngineError, EngineGone, VllamaError
from vllama.translate.engine.plain_chunks import CHAT_KEY, TEXT_KEY, PlainChunks
from vllama.translate.engine.thinking import MARKERS, ThinkingSplitter
from vllama.translate.engine.toolcalls import CallAssembler
from vllama.translate.pieces import Ending, Piece, Step

FindError = Callable[[Mapping[str, Any]], VllamaError | None]
"""Finds the error that a payload carries; given by the engine's room, which knows vLLM's forms."""


_UNREADABLE = "the engine sent an event that can't be read"


class _Reader(ABC):
    """What both kinds of streams share: foreign bytes never become anything but an EngineError."""

    failure: VllamaError | None = None
    """What ended the stream too early: the error that a payload carried, or that it could not be read."""

    def feed(self, payloads: list[bytes]) -> list[Step]:
        """All steps that these payloads complete; those before an error, which is kept in ``failure``."""
        out: list[Step] = []
        if self.failure is not None:
            return out
        try:
            self._read(payloads, out)
        except VllamaError as error:
            self.failure = error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.failure = EngineError(_UNREADABLE)
            self.failure.__cause__ = error
        return out

    def extract_text(self, event: bytes) -> bytes:
        """The JSON string of one whole event that says nothing but more of the answer's text.

        Empty where it has to be fed: then it says something else, or says it in another way.
        """
        return b""

    @abstractmethod
    def _read(self, payloads: list[bytes], out: list[Step]) -> None:
        """Add the steps of these payloads to ``out``; what is wrong with them may raise anything."""


class ChatReader(_Reader):
    """Reads a stream of ``/v1/chat/completions``."""

    def __init__(
        self, find_error: FindError, *, thinking: bool = False, top_logprobs: int = 0, offered: Collection[str] = ()
    ) -> None:
        self._end = _End(find_error)
        self._top = top_logprobs
        self._calls = CallAssembler(offered)
        self._plain = PlainChunks(CHAT_KEY, self._end.ids)
        self._thought = False
        self._bare = thinking  # white space that comes next is to be dropped: no short cut for content
        self._held: list[dict[str, Any]] = []  # log probabilities of tokens whose text a parser withholds

    def extract_text(self, event: bytes) -> bytes:
        """As above, while no white space is to be dropped."""
        return b"" if self._bare else self._plain.extract(event)

    def _read(self, payloads: list[bytes], out: list[Step]) -> None:
        for payload in payloads:
            if not self._bare and (text := self._plain.text(payload)):
                out.append(Piece(text))
                continue
            chunk = orjson.loads(payload)
            choices = chunk.get("choices")
            if not choices:
                self._end.last(chunk, out)
                continue
            choice = choices[0]
            delta = choice["delta"]
            reason = choice["finish_reason"]
            content = delta.get("content")
            if content and reason is None and choice["logprobs"] is None and not self._bare and len(delta) == 1:
                self._end.note_ids(chunk, choice)
                out.append(Piece(content))
                if len(choices) == 1 and "prompt_token_ids" not in chunk:
                    # nearly every chunk of a long answer is like it
                    self._plain.learn(payload, content, choice.get("token_ids") or ())
                continue
            self._chunk(chunk, choice, delta, out)

    def _chunk(
        self, chunk: Mapping[str, Any], choice: Mapping[str, Any], delta: Mapping[str, Any], out: list[Step]
    ) -> None:
        self._end.note_ids(chunk, choice)
        reason = choice["finish_reason"]
        entries = self._entries(choice)
        thinking = self._thinking(delta.get("reasoning") or delta.get("reasoning_content") or "")
        content = self._content(delta.get("content") or "")
        done = self._calls.add(delta.get("tool_calls") or ())
        self._bare = self._bare or self._calls.begun
        if reason is not None:
            content = self._end.finish(choice, content)
            done += self._calls.end(cut=reason == "length")
        self._held += entries
        if thinking:
            out.append(Piece(thinking=thinking, logprobs=self._take_held() if not content else None))
        if content:
            out.append(Piece(content, logprobs=self._take_held()))
        if done:
            out.append(Piece(tool_calls=done, logprobs=self._take_held()))
        if reason is not None and self._held:
            out.append(Piece(logprobs=self._take_held()))

    def _thinking(self, text: str) -> str:
        if text:
            self._bare = True
            if not self._thought:
                text = text.lstrip()
                self._thought = bool(text)
        return text

    def _content(self, text: str) -> str:
        if self._calls.begun:
            return "" if text.isspace() else text  # line breaks between two calls
        if text and self._bare:
            text = text.lstrip()
            self._bare = not text
        return text

    def _entries(self, choice: Mapping[str, Any]) -> list[dict[str, Any]]:
        logprobs = choice["logprobs"]
        if not logprobs:
            return []
        entries = _shown([_entry(entry, self._top) for entry in logprobs.get("content") or ()], choice)
        if entries and not any(choice["delta"].values()):
            entries = [entry for entry in entries if entry["token"] not in MARKERS]
        elif entries and self._bare and not (choice["delta"].get("content") or "x").strip():
            entries = []  # the white space after the closing tag
        elif entries and not self._thought and (choice["delta"].get("reasoning") or "").isspace():
            entries = []
        return entries

    def _take_held(self) -> list[dict[str, Any]] | None:
        held, self._held = self._held, []
        return held or None


class TextReader(_Reader):
    """Reads a stream of ``/v1/completions``; ``splitter`` cuts thinking out of the text."""

    def __init__(
        self, find_error: FindError, *, splitter: ThinkingSplitter | None = None, top_logprobs: int = 0
    ) -> None:
        self._end = _End(find_error)
        self._top = top_logprobs
        self._splitter = splitter
        self._plain = PlainChunks(TEXT_KEY, self._end.ids)
        self._thought = False
        self._bare = False

    def extract_text(self, event: bytes) -> bytes:
        """As above."""
        return self._plain.extract(event)

    def _read(self, payloads: list[bytes], out: list[Step]) -> None:
        for payload in payloads:
            if text := self._plain.text(payload):
                out.append(Piece(text))
                continue
            chunk = orjson.loads(payload)
            choices = chunk.get("choices")
            if not choices:
                self._end.last(chunk, out)
                continue
            choice = choices[0]
            self._end.note_ids(chunk, choice)
            reason = choice["finish_reason"]
            entries = _shown(_text_entries(choice.get("logprobs") or {}, self._top), choice)
            text = choice["text"]
            if reason is not None:
                text = self._end.finish(choice, text)
            elif text and len(choices) == 1 and self._is_plain(choice):
                self._plain.learn(payload, text, choice.get("token_ids") or ())
            steps = self._split(text, last=reason is not None)
            if entries and (steps or self._shows_withheld()):
                steps = steps or [Piece()]
                steps[0].logprobs = entries
            out += steps

    def _is_plain(self, choice: Mapping[str, Any]) -> bool:
        """Does the chunk say nothing but text and its ids, which is shown as it is?"""
        return self._shows_all() and not choice.get("logprobs") and not choice.get("prompt_token_ids")

    def _shows_all(self) -> bool:
        """Is every text shown as it is, whatever came before it?"""
        return self._splitter is None

    def _shows_withheld(self) -> bool:
        """Are log probabilities shown of tokens whose text is not?"""
        return True

    def _split(self, text: str, *, last: bool) -> list[Piece]:
        if self._splitter is None:
            return [Piece(text)] if text else []
        parts = self._splitter.feed(text)
        if last:
            parts += self._splitter.end()
        out = []
        for kind, part in parts:
            if kind == "thinking":
                self._bare = True
                thought = part if self._thought else part.lstrip()
                self._thought = self._thought or bool(thought)
                if thought:
                    out.append(Piece(thinking=thought))
            else:
                answer = part.lstrip() if self._bare else part
                self._bare = self._bare and not answer
                if answer:
                    out.append(Piece(answer))
        return out


class _End:
    """How an answer ends: finish reason, token ids, usage; and what must not be taken for an end."""

    def __init__(self, find_error: FindError) -> None:
        self._find_error = find_error
        self._choice: Mapping[str, Any] | None = None
        self.ids: list[int] = []
        """Of the tokens so far, those of the prompt first, where the engine was asked for them."""

    def note_ids(self, chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        """Collect the ids of prompt and answer where the engine was asked for them."""
        self.ids += chunk.get("prompt_token_ids") or choice.get("prompt_token_ids") or ()
        if ids := choice.get("token_ids"):
            self.ids += ids[:-1] if _ended_by_token(choice, choice["finish_reason"]) else ids

    def finish(self, choice: Mapping[str, Any], text: str) -> str:
        """Note the end; gives the last text without half a character."""
        reason = choice["finish_reason"]
        if reason in {"abort", "error"}:
            raise EngineGone("the engine stopped before the answer was complete")
        self._choice = choice
        return text.rstrip("\ufffd") if reason == "length" else text

    def last(self, chunk: Mapping[str, Any], out: list[Step]) -> None:
        """A payload without choices: usage, or an error in the middle of a 200."""
        if error := self._find_error(chunk):
            raise error
        usage = chunk.get("usage")
        if usage is None:
            return
        if self._choice is None:
            raise EngineError("the engine ended its answer without a reason")
        metrics = chunk.get("metrics") or {}
        stop = self._choice.get("stop_reason")
        tokens = usage.get("completion_tokens", 0)
        out.append(
            Ending(
                reason="length" if self._choice["finish_reason"] == "length" else "stop",
                prompt_tokens=usage.get("prompt_tokens", 0),
                completion_tokens=tokens,
                cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
                queue_ns=_ns(metrics.get("queue_time_ms")),
                prefill_ns=_ns(metrics.get("time_to_first_token_ms")),
                # the engine counts from the first token to the last: one token takes no time
                decode_ns=_ns(metrics.get("generation_time_ms")) or _ns(metrics.get("mean_itl_ms")),
                stop_text=stop if isinstance(stop, str) else "",
                token_ids=tuple(self.ids),
            )
        )


def _ns(milliseconds: float | None) -> int:
    return round(milliseconds * 1e6) if milliseconds else 0


def _ended_by_token(choice: Mapping[str, Any], reason: str | None) -> bool:
    """Is this chunk's last token the one that ended the answer? Then it is no part of it."""
    return reason in {"stop", "tool_calls"} and not isinstance(choice.get("stop_reason"), str)


def _shown(entries: list[dict[str, Any]], choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Entries without the token that ended the answer and without half characters, which the next one has whole."""
    if _ended_by_token(choice, choice["finish_reason"]):
        entries = entries[:-1]
    return [entry for entry in entries if entry["token"]]


def _entry(entry: Mapping[str, Any], top: int) -> dict[str, Any]:
    """One of vLLM's log probabilities as Ollama writes it."""
    out = {"token": entry["token"], "logprob": entry["logprob"]}
    if entry.get("bytes"):
        out["bytes"] = entry["bytes"]
    if top:
        best = sorted(entry.get("top_logprobs") or (), key=lambda other: -other["logprob"])
        out["top_logprobs"] = [_entry(other, 0) for other in best[:top]]
    return out


def _text_entries(logprobs: Mapping[str, Any], top: int) -> list[dict[str, Any]]:
    """The completions form (parallel lists, dicts of alternatives) as Ollama's entries."""
    out = []
    alternatives = logprobs.get("top_logprobs") or []
    for place, token in enumerate(logprobs.get("tokens") or ()):
        entry = {"token": token, "logprob": logprobs["token_logprobs"][place], "bytes": list(token.encode())}
        if top:
            others = alternatives[place] if place < len(alternatives) else None
            best = sorted((others or {}).items(), key=lambda other: -other[1])[:top]
            entry["top_logprobs"] = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in best]
        out.append(entry)
    return out

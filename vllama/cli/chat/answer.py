"""Prints one streamed answer: thinking set back, then the text, then (if wanted) what it took."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from vllama.cli import format as fmt
from vllama.cli import output
from vllama.cli.chat.conversation import ChatSettings
from vllama.cli.chat.wrap import Wrap


class HeardAnswer:
    """What was heard so far; keeps what is there when the stream is interrupted."""

    def __init__(self, settings: ChatSettings) -> None:
        self.content = ""
        self.thinking = ""
        self._hide_thinking = settings.hide_thinking
        width = shutil.get_terminal_size().columns if settings.word_wrap and output.is_terminal() else 0
        self._wrap = Wrap(width)
        self._thinking_open = False
        self._ends_line = True

    def show(self, chunks: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Print the chunks of chat or generate as they come; returns the last one, which has the counts."""
        last: Mapping[str, Any] = {}
        try:
            for chunk in chunks:
                last = chunk
                message = chunk.get("message") or {"content": chunk.get("response"), "thinking": chunk.get("thinking")}
                self._think(fmt.clean(message.get("thinking") or ""))
                self._speak(fmt.clean(message.get("content") or ""))
        finally:
            self._close_thinking()
            if not self._ends_line:
                output.line()
        return last

    def _think(self, piece: str) -> None:
        self.thinking += piece
        if self._hide_thinking or not piece:
            return
        if not self._thinking_open:
            piece = piece.lstrip("\n")
            if not piece:
                return
            output.line(output.dim("Thinking..."))
            self._thinking_open = True
        self._write(piece, dimmed=True)

    def _speak(self, piece: str) -> None:
        if not self.content:
            piece = piece.lstrip("\n")
        if not piece:
            return
        self._close_thinking()
        self.content += piece
        self._write(piece)

    def _close_thinking(self) -> None:
        if not self._thinking_open:
            return
        self._thinking_open = False
        lead = "" if self._ends_line else "\n"
        output.line(f"{lead}{output.dim('...done thinking.')}\n")
        self._wrap.feed("\n")
        self._ends_line = True

    def _write(self, piece: str, *, dimmed: bool = False) -> None:
        shown = self._wrap.feed(piece)
        self._ends_line = shown.endswith("\n")
        output.text(output.dim(shown) if dimmed else shown)


def print_timings(final: Mapping[str, Any]) -> None:
    """The counts and durations of a final chunk, as Ollama's ``--verbose`` shows them."""
    output.note()
    for row in fmt.table([], timings(final)):
        output.note(row)


def timings(final: Mapping[str, Any]) -> list[list[str]]:
    """Label and value of each figure that is there. Pure."""
    durations = ("total_duration", "load_duration")
    rows = [[_label(key), fmt.exact_duration(final[key])] for key in durations if key in final]
    for part in ("prompt_eval", "eval"):
        count, duration = final.get(f"{part}_count", 0), final.get(f"{part}_duration", 0)
        if count:
            rows.append([_label(f"{part}_count"), f"{count} token(s)"])
        if duration:
            rows.append([_label(f"{part}_duration"), fmt.exact_duration(duration)])
        cached = final.get(f"{part}_cached_count", 0)
        if cached:
            rows.append([_label(f"{part}_cached"), f"{cached} token(s)"])
        if count > cached and duration:
            rows.append([_label(f"{part}_rate"), f"{(count - cached) / duration * 1e9:.2f} tokens/s"])
    return rows


def _label(key: str) -> str:
    return key.replace("_", " ") + ":"

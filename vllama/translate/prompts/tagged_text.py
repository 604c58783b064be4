"""Splits the streamed text of a model with a Go template: thinking, content, tool calls. Pure.

vLLM's parsers know nothing of such a template; its marks are those that ``templates.facts`` found in it. The rules are
Ollama's: thinking stands at the beginning or nowhere, the white space after both tags goes, nothing is content any
more once a tool call has begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from vllama.translate.engine.thinking import beginning_of
from vllama.translate.pieces import Piece, Tags, ToolCall
from vllama.translate.prompts.call_scanner import CallScanner, Found

_BRACKETS: Final = frozenset({"{", "["})


class TaggedText:
    """One answer. Feed its text in any pieces; ``end`` gives what was held back.

    ``call_id`` makes the id of the n-th call.
    """

    def __init__(self, tags: Tags, call_id: Callable[[int], str] = lambda _: "") -> None:
        self._thoughts = _Thoughts(*tags.thinking, inside=tags.inside) if tags.thinking else None
        self._calls = _Calls(tags.tools, tags.mark, call_id) if tags.tools else None

    @property
    def calling(self) -> bool:
        """Has a tool call begun, so that text is withheld for it?"""
        return self._calls is not None and self._calls.begun

    def feed(self, text: str) -> list[Piece]:
        """What ``text`` completes, in order."""
        thought, rest = self._thoughts.feed(text) if self._thoughts else ("", text)
        return self._pieces(thought, rest)

    def end(self) -> list[Piece]:
        """What is left when no more comes."""
        thought, rest = self._thoughts.end() if self._thoughts else ("", "")
        out = self._pieces(thought, rest)
        return out + _shown(*self._calls.end()) if self._calls else out

    def _pieces(self, thought: str, rest: str) -> list[Piece]:
        out = [Piece(thinking=thought)] if thought else []
        if not rest or self._calls is None:
            return out + _shown(rest)
        return out + _shown(*self._calls.feed(rest))


def _shown(content: str, calls: tuple[ToolCall, ...] = ()) -> list[Piece]:
    out = [Piece(content)] if content else []
    return [*out, Piece(tool_calls=calls)] if calls else out


class _Thoughts:
    """Cuts off the thinking at the beginning of a text."""

    def __init__(self, opening: str, closing: str, *, inside: bool) -> None:
        self._opening = opening
        self._closing = closing
        self._held = ""
        self._state = "after opening" if inside else "before"

    def feed(self, text: str) -> tuple[str, str]:
        """Thinking and the rest."""
        if self._state == "answer":
            return "", text
        text = self._held + text
        self._held = ""
        if self._state == "before":
            bare = text.lstrip()
            if not bare.startswith(self._opening):
                if self._opening.startswith(bare):
                    self._held = text
                    return "", ""
                self._state = "answer"
                return "", text
            self._state = "after opening"
            text = bare[len(self._opening) :]
        if self._state == "after opening":
            text = text.lstrip()
            if not text:
                return "", ""
            self._state = "thinking"
        thought = ""
        if self._state == "thinking":
            thought, closed, text = text.partition(self._closing)
            if not closed:
                kept = len(thought) - beginning_of(self._closing, thought)
                self._held = thought[kept:]
                return thought[:kept], ""
            self._state = "after closing"
        text = text.lstrip()
        if text:
            self._state = "answer"
        return thought, text

    def end(self) -> tuple[str, str]:
        held, self._held = self._held, ""
        return (held, "") if self._state == "thinking" else ("", held)


class _Calls:
    """Holds back what may be a tool call and finds the calls in it."""

    def __init__(self, tools: Sequence[str], mark: str, call_id: Callable[[int], str]) -> None:
        self._mark = mark
        self._held = ""
        self.begun = False
        self._plain = False
        self._call_id = call_id
        self._made = 0
        self._scanner = CallScanner(tools, bracket=mark if mark in _BRACKETS else "")

    def feed(self, text: str) -> tuple[str, tuple[ToolCall, ...]]:
        """Content and calls."""
        if self._plain:
            return text, ()
        content = ""
        if not self.begun:
            text = self._held + text
            at = text.find(self._mark)
            self.begun = at >= 0
            cut = at if at >= 0 else len(text) - beginning_of(self._mark, text)
            content, self._held = text[:cut], text[cut:]
            if self._mark in _BRACKETS and content.strip():
                # a bracket is a mark only at the beginning of an answer
                self._plain = True
                return content + self._held, ()
            if not self.begun:
                return content, ()
            text, self._held = self._held, ""
        calls = self._numbered(self._scanner.feed(text))
        if self._scanner.closed:
            self._plain = True
            content += self._scanner.rest()
        return content, calls

    def end(self) -> tuple[str, tuple[ToolCall, ...]]:
        """What turned out to be no call is shown only where the mark itself may be plain text."""
        if self._plain:
            return "", ()
        if not self.begun:
            return self._held, ()
        calls = self._numbered(self._scanner.end())
        plain = self._mark in _BRACKETS and not self._made
        return (self._scanner.rest() if plain else ""), calls

    def _numbered(self, found: Iterable[Found]) -> tuple[ToolCall, ...]:
        calls = tuple(
            ToolCall(self._call_id(number), number, name, arguments)
            for number, (name, arguments) in enumerate(found, self._made)
        )
        self._made += len(calls)
        return calls

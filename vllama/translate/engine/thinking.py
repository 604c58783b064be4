"""Separates thinking from the answer: in raw text by its tags, with the white space between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

OPEN: Final = "<think>"
CLOSE: Final = "</think>"
MARKERS: Final = frozenset(
    {OPEN, CLOSE, "[THINK]", "[/THINK]", "<seed:think>", "</seed:think>", "<mm:think>", "</mm:think>"}
)
"""Tokens that never show in an answer."""

ThoughtPart = tuple[Literal["thinking", "content"], str]


class ThinkingSplitter:
    """Cuts streamed text at its think tags; text that may be the beginning of a tag is held back.

    ``inside``: the prompt ended with an open tag, so that the text begins with thinking.
    """

    __slots__ = ("_held", "_state")

    def __init__(self, *, inside: bool = False) -> None:
        self._held = ""
        self._state: Literal["before", "thinking", "answer"] = "thinking" if inside else "before"

    def feed(self, text: str) -> list[ThoughtPart]:
        """What ``text`` completes, in order."""
        text = self._held + text
        self._held = ""
        out: list[ThoughtPart] = []
        if self._state == "before":
            bare = text.lstrip()
            if not bare or (len(bare) < len(OPEN) and OPEN.startswith(bare)):
                self._held = text
                return out
            self._state = "thinking" if bare.startswith(OPEN) else "answer"
            text = bare[len(OPEN) :] if self._state == "thinking" else text
        if self._state == "thinking":
            thought, closed, text = text.partition(CLOSE)
            if closed:
                self._state = "answer"
            else:
                kept = beginning_of(CLOSE, thought)
                thought, self._held = thought[: len(thought) - kept], thought[len(thought) - kept :]
            if thought:
                out.append(("thinking", thought))
        if text:
            out.append(("content", text))
        return out

    def end(self) -> list[ThoughtPart]:
        """What was held back, when no more comes."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [("thinking" if self._state == "thinking" else "content", held)]


def beginning_of(tag: str, text: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``tag``."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)


def ends_inside(prompt: str | Sequence[int], special_tokens: Mapping[str, int]) -> bool:
    """Does the prompt leave a think tag open, so that the answer begins with thinking?"""
    if isinstance(prompt, str):
        return prompt.rfind(OPEN) > prompt.rfind(CLOSE)
    opening, closing = special_tokens.get(OPEN), special_tokens.get(CLOSE)
    last = next((token for token in reversed(prompt) if token in {opening, closing}), None)
    return last is not None and last == opening


def closed_thinking(thoughts: str, *, inside: bool) -> str:
    """Finished thoughts as a prompt has them, so that the answer comes next; ``inside``: the tag is open already."""
    opening = "" if inside else f"{OPEN}\n"
    return f"{opening}{thoughts}\n{CLOSE}\n\n"

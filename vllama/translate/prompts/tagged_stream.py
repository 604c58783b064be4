"""Reads the stream of a model with a Go template: completions, taken apart by the template's own marks. Pure."""

from __future__ import annotations

from vllama.translate.engine.stream import FindError, TextReader
from vllama.translate.engine.toolcalls import short_id
from vllama.translate.pieces import Piece, Tags
from vllama.translate.prompts.tagged_text import TaggedText


class TaggedReader(TextReader):
    """As TextReader; ``answer_id`` makes the ids of this answer's calls unique."""

    def __init__(self, find_error: FindError, tags: Tags, answer_id: str, *, top_logprobs: int = 0) -> None:
        super().__init__(find_error, top_logprobs=top_logprobs)
        self._tagged = TaggedText(tags, lambda number: short_id(f"{answer_id}:{number}"))

    def _split(self, text: str, *, last: bool) -> list[Piece]:
        pieces = self._tagged.feed(text) if text else []
        return pieces + self._tagged.end() if last else pieces

    def _shows_all(self) -> bool:
        return False

    def _shows_withheld(self) -> bool:
        return self._tagged.calling  # a call's tokens count, those of the tags around thinking do not

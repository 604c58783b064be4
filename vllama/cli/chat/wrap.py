"""Breaks streamed text between words at the terminal's width. Pure.

A word is shown as it grows; when it meets the edge, it is taken back and set on the next line.
"""

from __future__ import annotations

import unicodedata


class Wrap:
    """Feed pieces in order, print what comes back. ``width`` 0 changes nothing."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._word: list[str] = []
        self._word_cells = 0

    def feed(self, piece: str) -> str:
        """``piece`` with line breaks where they are needed."""
        return "".join(map(self._put, piece)) if self._width else piece

    def _put(self, char: str) -> str:
        if char == "\n":
            self._column = 0
            self._start_word()
            return char
        cells = _cells(char)
        broken = ""
        if self._column + cells > self._width:
            if char == " ":  # the break takes its place
                self._column = 0
                self._start_word()
                return "\n"
            broken = self._break()
        self._column += cells
        # text without blanks between words (Chinese, Japanese) may break after each wide character
        if char in " \t-" or cells == 2:
            self._start_word()
        else:
            self._word.append(char)
            self._word_cells += cells
        return broken + char

    def _break(self) -> str:
        """Go to the next line, taking the unfinished word along unless it fills the whole line."""
        if not self._word or self._word_cells >= self._column:
            self._column = 0
            self._start_word()
            return "\n"
        self._column = self._word_cells
        return f"\x1b[{self._word_cells}D\x1b[K\n{''.join(self._word)}"

    def _start_word(self) -> None:
        self._word.clear()
        self._word_cells = 0


def _cells(char: str) -> int:
    """Columns that a character takes on a terminal."""
    if char == "\t":
        return 8
    if unicodedata.combining(char) or char in "\u200b\u200c\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1

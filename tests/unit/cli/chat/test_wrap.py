"""Streamed text broken between words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.cli.chat.wrap import Wrap

_TAKE_BACK = re.compile(r"\x1b\[(\d+)D\x1b\[K")


def screen(text: str) -> list[str]:
    """The lines that a terminal shows for what Wrap wrote."""
    lines = [""]
    for part in re.split(r"(\x1b\[\d+D\x1b\[K|\n)", text):
        if part == "\n":
            lines.append("")
        elif found := _TAKE_BACK.fullmatch(part):
            lines[-1] = lines[-1][: len(lines[-1]) - int(found[1])]
        else:
            lines[-1] += part
    return lines


@pytest.mark.parametrize("cut", [1, 3, 100])
def test_a_word_that_meets_the_edge_moves_to_the_next_line(cut: int) -> None:
    text, wrap = "the quick brown fox jumps", Wrap(12)
    shown = "".join(wrap.feed(text[i : i + cut]) for i in range(0, len(text), cut))
    assert screen(shown) == ["the quick ", "brown fox ", "jumps"]


def test_a_word_longer_than_the_line_is_cut() -> None:
    assert screen(Wrap(4).feed("abcdefghij")) == ["abcd", "efgh", "ij"]


def test_a_space_at_the_edge_becomes_the_break() -> None:
    assert screen(Wrap(5).feed("hello world")) == ["hello", "world"]


def test_lines_of_the_text_are_kept() -> None:
    assert screen(Wrap(10).feed("a\n\nb c")) == ["a", "", "b c"]


def test_wide_characters_take_two_columns() -> None:
    assert screen(Wrap(4).feed("日本語")) == ["日本", "語"]


def test_width_zero_changes_nothing() -> None:
    assert Wrap(0).feed("a b\n" * 100) == "a b\n" * 100


@given(st.lists(st.text("ab \n"), max_size=20), st.integers(1, 9))
def test_nothing_is_lost_and_no_line_is_too_long(pieces: list[str], width: int) -> None:
    wrap = Wrap(width)
    lines = screen("".join(map(wrap.feed, pieces)))
    assert all(len(line) <= width for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", "".join(pieces))

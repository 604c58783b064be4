"""Messages of several lines."""

from __future__ import annotations

import pytest

from vllama.cli.chat.prompt import read_message


def typed(*lines: str) -> tuple[str, list[str]]:
    prompts: list[str] = []
    rest = iter(lines)

    def read_line(prompt: str) -> str:
        prompts.append(prompt)
        return next(rest)

    return read_message(read_line), prompts


def test_a_plain_line_is_a_message() -> None:
    assert typed("hello") == ("hello", [">>> "])


def test_triple_quotes_join_lines_until_they_end_one() -> None:
    message, prompts = typed('"""one', "two", 'three"""  ')
    assert message == "one\ntwo\nthree"
    assert prompts == [">>> ", "... ", "... "]


def test_triple_quotes_may_stand_alone() -> None:
    assert typed('"""', "one", '"""')[0] == "\none\n"


def test_triple_quotes_may_open_and_close_on_one_line() -> None:
    assert typed('"""one"""')[0] == "one"


def test_a_system_message_may_have_several_lines() -> None:
    assert typed('/set system """You are', 'a pirate."""')[0] == "/set system You are\na pirate."


def test_quotes_within_a_line_mean_nothing() -> None:
    assert typed('print("""x')[0] == 'print("""x'


def test_leaving_in_the_middle_of_a_message_passes_through() -> None:
    def read_line(prompt: str) -> str:
        if prompt == ">>> ":
            return '"""one'
        raise EOFError

    with pytest.raises(EOFError):
        read_message(read_line)

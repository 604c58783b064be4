"""Every ``vllama`` command of the documents can be typed: verb, arguments and options exist, and fit together."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from tests.documents import PAGES, Command, commands
from vllama.cli.main import cli

_BEFORE = ("sudo", "env")


def ours() -> Iterator[tuple[Command, list[str]]]:
    """Arguments of each ``vllama`` in a console block."""
    for page in PAGES:
        for command in commands(page):
            for words in command.words():
                while words and (words[0] in _BEFORE or "=" in words[0].partition("/")[0]):
                    words = words[1:]
                if words and words[0].rpartition("/")[2] == "vllama":
                    yield command, words[1:]


FOUND = list(ours())


def test_there_are_some() -> None:
    assert len(FOUND) > 30


@pytest.mark.parametrize(("command", "arguments"), FOUND, ids=[one.block.place for one, _ in FOUND])
def test_the_command_line_is_right(command: Command, arguments: list[str]) -> None:
    parse(cli, "vllama", arguments)


def parse(command: click.Command, name: str, arguments: list[str], parent: click.Context | None = None) -> None:
    """Read a command line without running it; raises click.UsageError as the command would."""
    context = command.make_context(name, [*arguments], parent=parent)
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest and command.invoke_without_command:
            return
        word, inner, further = command.resolve_command(context, rest)
        assert inner is not None, word
        parse(inner, word or "", further, context)

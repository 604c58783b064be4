"""The only module that prints. Results go to stdout, all messages about them to stderr.

Colour and moving parts appear only on a terminal that can show them: never in a pipe, on a dumb terminal or with
``NO_COLOR``. The spelling of sizes, times and tables is in ``cli.format``; bars and spinners are in ``cli.progress``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from vllama.cli import format as fmt
from vllama.config.environment import shell
from vllama.errors import ConfigError, VllamaError
from vllama.observe.journal import priority
from vllama.observe.logs import is_journal

_DIM, _BOLD, _RED, _GREEN, _YELLOW, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"


def can_colour(stream: TextIO | None = None) -> bool:
    """Whether ``stream`` (stdout when None) shows colours: a real terminal and no ``NO_COLOR``."""
    return is_terminal(stream) and not shell().no_color


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether ``stream`` (stdout when None) is a terminal that understands cursor movement."""
    return (stream or sys.stdout).isatty() and not shell().dumb_terminal


def line(text: str = "") -> None:
    """One line of the result."""
    _write(sys.stdout, text + "\n")


def text(piece: str) -> None:
    """A part of the result without a line's end, shown at once (streamed answers)."""
    _write(sys.stdout, piece)


def note(text: str = "") -> None:
    """A line about what is going on (stderr), for people."""
    _write(sys.stderr, text + "\n")


def warning(text: str) -> None:
    """Something that is not as it should be but stops nothing (stderr)."""
    _print(logging.WARNING, f"{_paint('Warning:', _YELLOW, sys.stderr)} {text}")


def error(problem: VllamaError | str, hint: str = "") -> None:
    """Why the command failed and what to do (stderr); all findings of a ConfigError, one a line."""
    message = problem if isinstance(problem, str) else problem.detail
    _print(logging.ERROR, f"{_paint('Error:', _RED, sys.stderr)} {message}")
    if isinstance(problem, ConfigError):
        for finding in problem.problems:
            _print(logging.ERROR, f"  {finding}")
    if advice := hint or (problem.advice if isinstance(problem, VllamaError) else ""):
        _print(logging.ERROR, advice)


def data(value: Any) -> None:
    """``--json``: one indented JSON value."""
    line(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table in Ollama's spacing."""
    for row in fmt.table(headers, rows):
        line(row)


def silence() -> None:
    """The reader of our pipe has gone: nothing more can be said, not even at the interpreter's end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def dim(text: str) -> str:
    """``text`` set back (thinking, hints) where stdout has colour."""
    return _paint(text, _DIM, sys.stdout)


def bold(text: str) -> str:
    """``text`` set forth where stdout has colour."""
    return _paint(text, _BOLD, sys.stdout)


def good(text: str) -> str:
    """``text`` in green where stdout has colour."""
    return _paint(text, _GREEN, sys.stdout)


def bad(text: str) -> str:
    """``text`` in red where stdout has colour."""
    return _paint(text, _RED, sys.stdout)


def caution(text: str) -> str:
    """``text`` in yellow where stdout has colour."""
    return _paint(text, _YELLOW, sys.stdout)


def _print(level: int, text: str) -> None:
    """A line about what is wrong; with its priority where systemd's journal reads it (sd-daemon(3))."""
    mark = f"<{priority(level)}>" if is_journal(sys.stderr, shell().journal_stream) else ""
    note(f"{mark}{text}")


def _paint(text: str, colour: str, stream: TextIO) -> str:
    return f"{colour}{text}{_PLAIN}" if text and can_colour(stream) else text


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # a locale that can't spell it
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()

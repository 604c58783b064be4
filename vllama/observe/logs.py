"""Sets up our log: lines with times for a terminal, lines with journal priorities under systemd.

Nothing here or elsewhere logs a prompt or an answer. Engine output arrives on loggers ``vllama.engine.NAME`` and is
shown with that name.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from vllama.observe.journal import ENGINE, SOCKET, JournalHandler, priority
from vllama.redaction import without_passwords

ROOT: Final = "vllama"
"""The parent of all our loggers; its level is ``log.level``."""


def set_up(
    level: str, *, journal_stream: str = "", stream: TextIO | None = None, journal_socket: Path = SOCKET
) -> None:
    """Send records of ``level`` (``debug, info, warning, error``) and above to ``stream`` (stderr).

    ``journal_stream`` is the environment's JOURNAL_STREAM, ``DEVICE:INODE``: if it names ``stream``, the journal
    reads our output. It then gets entries with fields over its own protocol (``journal_socket``), or, without that
    socket, lines with ``<N>`` as priority.
    """
    out = stream or sys.stderr
    journal = journal_socket if is_journal(out, journal_stream) else None
    handler = _Stderr() if stream is None and journal is None else _handler(out, journal)
    handler.addFilter(plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(level.upper())
    # Requests that are not HTTP get 400. With a traceback for each, any client could fill the log.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is now. While a spinner turns that is rich's, which puts the line above it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(TerminalLines())

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _handler(out: TextIO, journal: Path | None) -> logging.Handler:
    if journal is not None:
        with suppress(OSError):
            entries = JournalHandler(journal)
            entries.setFormatter(JournalText())
            return entries
    handler = logging.StreamHandler(out)
    handler.setFormatter(TerminalLines() if journal is None else JournalLines())
    return handler


def plain(record: logging.LogRecord) -> bool:
    """Filters nothing: makes what others sent and we log visible, so that no client writes lines or colours of its own.

    An engine's words may have several lines.
    """
    kept = "\n\t" if record.name.startswith(ENGINE) else "\t"
    if isinstance(record.args, tuple):
        record.args = tuple(_visible(value, kept) for value in record.args)
    return True


def _visible(value: object, kept: str) -> object:
    """A value that is safe to print: unchanged if its text is printable, else its text with escapes."""
    if value is None or isinstance(value, (int, float)):
        return value
    text = str(value)
    if text.isprintable():
        return value
    return "".join(one if one.isprintable() or one in kept else one.encode("unicode_escape").decode() for one in text)


class TerminalLines(logging.Formatter):
    """``12:30:01 INFO  tinychat: loading weights``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """One record; a traceback follows on its own lines."""
        return without_passwords(super().format(_named(record)))


class JournalText(logging.Formatter):
    """The message of an entry that has fields for all else."""

    def format(self, record: logging.LogRecord) -> str:
        """One record, with its traceback."""
        return without_passwords(super().format(record))


class JournalLines(logging.Formatter):
    """``<6>tinychat: loading weights``; every line of a record has its priority."""

    def __init__(self) -> None:
        super().__init__("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One record, whose lines the journal stores one by one."""
        text = without_passwords(super().format(_named(record)))
        return "\n".join(f"<{priority(record.levelno)}>{line}" for line in text.splitlines() or [""])


def _named(record: logging.LogRecord) -> logging.LogRecord:
    """The record with the engine's name in front, when an engine said it."""
    if not record.name.startswith(ENGINE):
        return record
    shown = logging.makeLogRecord(record.__dict__)
    shown.msg, shown.args = f"{record.name.removeprefix(ENGINE)}: {record.getMessage()}", None
    return shown


def is_journal(stream: TextIO, journal_stream: str) -> bool:
    """Whether systemd's journal reads ``stream``; ``journal_stream`` as in ``set_up``."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal_stream == f"{status.st_dev}:{status.st_ino}"

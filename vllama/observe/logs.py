"""Sets up our log: lines with times for a terminal, lines with journal priorities under systemd.

Nothing here or elsewhere logs a prompt or an answer. Engine output arrives on loggers ``vllama.engine.NAME`` and is
shown with that name.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final, TextIO

ROOT: Final = "vllama"
"""The logger above all of ours; its level is ``log.level``."""
_ENGINE: Final = "vllama.engine."
_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)


def set_up(level: str, *, journal_stream: str = "", stream: TextIO | None = None) -> None:
    """Send records of ``level`` (``debug, info, warning, error``) and above to ``stream`` (stderr).

    ``journal_stream`` is the environment's JOURNAL_STREAM, ``DEVICE:INODE``: when it names ``stream``, the journal
    reads us, stamps the time itself and takes ``<N>`` as the priority.
    """
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(JournalLines() if _is_journal(out, journal_stream) else TerminalLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(level.upper())


class TerminalLines(logging.Formatter):
    """``12:30:01 INFO  tinychat: loading weights``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """One record; a traceback follows on its own lines."""
        return super().format(_named(record))


class JournalLines(logging.Formatter):
    """``<6>tinychat: loading weights``; every line of a record has its priority."""

    def __init__(self) -> None:
        super().__init__("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One record, whose lines the journal stores one by one."""
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        text = super().format(_named(record))
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines() or [""])


def _named(record: logging.LogRecord) -> logging.LogRecord:
    """The record with the engine's name in front, when an engine said it."""
    if not record.name.startswith(_ENGINE):
        return record
    shown = logging.makeLogRecord(record.__dict__)
    shown.msg, shown.args = f"{record.name.removeprefix(_ENGINE)}: {record.getMessage()}", None
    return shown


def _is_journal(stream: TextIO, journal_stream: str) -> bool:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal_stream == f"{status.st_dev}:{status.st_ino}"

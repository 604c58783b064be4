"""Writes log records into systemd's journal over its own protocol: a record is one entry, with fields to search by.

``journalctl -u vllama VLLAMA_MODEL=qwen3`` shows what concerns a model, ``-t vllama-engine`` what engines said. The
engines' output comes through us, not over streams of their own: only so a traceback of many lines is one entry with
the priority of an error, and the progress of a load is read from the same lines.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import logging
import os
import socket
import struct
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Final

ENGINE: Final = "vllama.engine."
"""What engines say is logged under this and the model's name."""
SOCKET: Final = Path("/run/systemd/journal/socket")
REQUEST_ID: Final[ContextVar[str]] = ContextVar("vllama_request_id", default="")
"""Of the request whose task logs."""
_SEALS: Final = 0x1 | 0x2 | 0x4 | 0x8
_ADD_SEALS: Final = 1033
_TOO_LONG: Final = {errno.EMSGSIZE, errno.ENOBUFS}
_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)


def priority(level: int) -> int:
    """syslog's number for a ``logging`` level."""
    return next(number for least, number in _PRIORITIES if level >= least)


class JournalHandler(logging.Handler):
    """Sends each record with its identifier and priority, and its ``model`` and ``request_id`` if it has them."""

    def __init__(self, path: Path = SOCKET) -> None:
        """Raises OSError without a journal."""
        super().__init__()
        self._lost = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry; one that can't be sent is lost and counted: a journal that hangs must not stop us."""
        try:
            data = b"".join(_field(name, value) for name, value in self._fields(record))
        except (TypeError, ValueError):  # a message that doesn't fit its arguments is reported, not raised
            self.handleError(record)
            return
        if self._lost and self._send(self._note()):
            self._lost = 0
        if not self._send(data):
            self._lost += 1

    def _send(self, data: bytes) -> bool:
        """Whether the journal took it."""
        try:
            try:
                self._socket.send(data)
            except OSError as error:
                if error.errno not in _TOO_LONG:
                    raise
                self._send_long(data)
        except OSError:
            return False
        return True

    def _note(self) -> bytes:
        """What is missing in the journal, for when it reads again."""
        text = f"{self._lost} log entries were lost, because the journal did not take them"
        record = logging.LogRecord("vllama", logging.WARNING, "", 0, text, None, None)
        return b"".join(_field(name, value) for name, value in self._fields(record))

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", str(priority(record.levelno))
        from_engine = record.name.startswith(ENGINE)
        yield "SYSLOG_IDENTIFIER", "vllama-engine" if from_engine else "vllama"
        yield "SYSLOG_PID", str(os.getpid())
        if model := record.name.removeprefix(ENGINE) if from_engine else getattr(record, "model", ""):
            yield "VLLAMA_MODEL", model
        if request_id := getattr(record, "request_id", "") or REQUEST_ID.get():
            yield "VLLAMA_REQUEST_ID", request_id

    def _send_long(self, data: bytes) -> None:
        """Longer than a datagram: as a sealed file in memory."""
        descriptor = os.memfd_create("vllama-journal", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            _seal(descriptor)
            rights = array.array("i", [descriptor])
            self._socket.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        finally:
            os.close(descriptor)


def _field(name: str, value: str) -> bytes:
    """``NAME=value``, or with a length in front of a value of several lines."""
    data = value.encode("utf-8", "replace")
    if b"\n" not in data:
        return f"{name}=".encode() + data + b"\n"
    return f"{name}\n".encode() + struct.pack("<Q", len(data)) + data + b"\n"


def _seal(descriptor: int) -> None:

    fcntl.fcntl(descriptor, _ADD_SEALS, _SEALS)

"""The only module that speaks to systemd: sd_notify(3), the watchdog, the file-descriptor store; silent without it.

sdnotify connects; the datagrams are ours, because a status may be in any language (the library writes latin-1) and
the store needs descriptors to travel with its message.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sdnotify

_FIRST_FD: Final = 3
_STORED: Final = "http"
"""Our listening sockets' name in the store."""
_BEATS: Final = 3
"""In one watchdog period: one late beat does not kill the service."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A listening socket that systemd gave us."""

    socket: socket.socket
    ours: bool
    """From our own store: it was ours before a restart. Else an administrator's socket unit says where to listen."""


class Notifier:
    """READY, STATUS, RELOADING, STOPPING, the beat and the store. A status is sent only when it changes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._socket = _connect(environ.get("NOTIFY_SOCKET", ""))
        self._status = ""
        self.beat_every = _beat_seconds(environ)
        """Seconds between two beats; None without a watchdog."""

    @property
    def supervised(self) -> bool:
        """systemd started us: it says when to stop and when to reload."""
        return self._socket is not None

    def ready(self) -> None:
        """The port is bound and every preloaded model has answered or failed; or a reload is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again; ``ready`` follows in any case."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, seconds: float) -> None:
        """No new work is taken; running answers and the engines' end take at most ``seconds``."""
        self._send("STOPPING=1")
        self.extend(seconds)

    def extend(self, seconds: float) -> None:
        """Starting or stopping goes on and may take this long from now."""
        if seconds < float("inf"):
            self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def beat(self) -> None:
        """We are alive."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line of truth about the whole service."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def store(self, sockets: Sequence[socket.socket]) -> None:
        """Let systemd keep our listening sockets open over a restart; what it kept before is replaced."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={_STORED}")
        self._send(f"FDSTORE=1\nFDNAME={_STORED}", [listener.fileno() for listener in sockets])

    def close(self) -> None:
        """Send nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str, descriptors: Sequence[int] = ()) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # a lost message must not end the service
                socket.send_fds(self._socket, [message.encode()], descriptors)


def passed_sockets(environ: Mapping[str, str]) -> list[Passed]:
    """The listening sockets that systemd gave us: from our store, or of a socket unit (sd_listen_fds(3))."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * (count - len(names))
    passed = []
    for number, name in enumerate(names[:count], _FIRST_FD):
        os.set_inheritable(number, False)  # noqa: FBT003 - it takes no keyword
        passed.append(Passed(socket.socket(fileno=number), ours=name == _STORED))
    return passed


def _connect(address: str) -> socket.socket | None:
    if not address:
        return None
    connection: socket.socket | None = sdnotify.SystemdNotifier().socket  # it reads the environment itself
    return connection


def _beat_seconds(environ: Mapping[str, str]) -> float | None:
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 / _BEATS

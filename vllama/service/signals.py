"""What a signal means to the service: SIGTERM and SIGINT stop it, a second SIGINT stops it at once, SIGHUP reloads it.

SIGHUP has two meanings. Administrators and service managers send it to ask for a reload. The kernel and shells send it
to the programs of a terminal when that terminal is closed. So it stops a service only if it was started in a terminal
without ``nohup``; everywhere else it reloads.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, Literal

_TERMINAL: Final = Path("/dev/tty")


class Signals:
    """Takes the process's signals over. Make it on the main thread, inside the running loop."""

    def __init__(self, *, supervised: bool) -> None:
        """``supervised``: by systemd, which sends SIGHUP for a reload."""
        self.stop = asyncio.Event()
        self.any = asyncio.Event()
        """Set as long as a signal waits for an answer."""
        self.hurry = asyncio.Event()
        """The service is to stop at once, whatever runs."""
        self._interrupts = 0
        self._loop = asyncio.get_running_loop()
        self._supervised = supervised
        self._in_terminal = has_terminal()
        self._ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        # Not loop.add_signal_handler: it loses a signal that comes while a busy loop's wake-up pipe is full.
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(signal.SIGHUP, self._hung_up)

    async def reload_wanted(self) -> bool:
        """Wait for a signal: true for a reload, false when it is time to stop."""
        await self.any.wait()
        if not self.stop.is_set():
            self.any.clear()
        return not self.stop.is_set()

    async def unless_hurried(self, work: Awaitable[None]) -> None:
        """Do ``work``, and give it up when the service is to stop at once."""
        doing = asyncio.ensure_future(work)
        hurried = asyncio.create_task(self.hurry.wait())
        try:
            await asyncio.wait({doing, hurried}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()
            doing.cancel()
        with suppress(asyncio.CancelledError):
            await doing

    def _terminated(self, _number: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop)

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        """The first one stops, the second one hurries, a third one does not wait for the event loop."""
        self._interrupts += 1
        if self._interrupts > 2:
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(self._hurry if self._interrupts == 2 else self._stop)

    def _hung_up(self, _number: int, _frame: FrameType | None) -> None:
        match hang_up(
            in_terminal=self._in_terminal and not self._supervised, ignored=self._ignored, terminal_left=has_terminal()
        ):
            case "reload":
                self._loop.call_soon_threadsafe(self.any.set)
            case "stop":
                self._loop.call_soon_threadsafe(self._stop)
            case "ignore":
                pass

    def _stop(self) -> None:
        self.stop.set()
        self.any.set()

    def _hurry(self) -> None:
        self._stop()
        self.hurry.set()


def hang_up(*, in_terminal: bool, ignored: bool, terminal_left: bool) -> Literal["reload", "stop", "ignore"]:
    """What SIGHUP means.

    ``in_terminal``: the service was started in one. ``ignored``: SIGHUP was, when it was started (``nohup``).
    ``terminal_left``: it still has one. If the terminal is already closed, the signal must be a request for a reload.
    """
    if not in_terminal:
        return "reload"
    if not ignored:
        return "stop"
    return "ignore" if terminal_left else "reload"


def has_terminal(terminal: Path = _TERMINAL) -> bool:
    """Whether the process has a controlling terminal."""
    try:
        os.close(os.open(terminal, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True

"""A person at a terminal: types, reads the screen, presses Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CTRL_C, CTRL_D = "\x03", "\x04"
_SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])")
# the new session's leader takes the pseudo terminal as its own, so that Ctrl-C reaches it as a signal
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
)


class Terminal:
    """``python ARGUMENTS`` in a pseudo terminal."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str]) -> None:
        self._end, slave = pty.openpty()
        argv = [sys.executable, "-c", _TAKE_TERMINAL, sys.executable, *arguments]
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=dict(env), start_new_session=True
        )
        os.close(slave)
        self.raw = ""
        self._read_to = 0

    @property
    def screen(self) -> str:
        """Everything that was shown, without escape sequences."""
        return _SEQUENCE.sub("", self.raw).replace("\r", "")

    def see(self, text: str, seconds: float = 20) -> str:
        """Read until ``text`` appears after what was seen before; returns what came with it."""
        deadline = time.monotonic() + seconds
        while (at := self.screen.find(text, self._read_to)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} did not appear after:\n{self.screen[self._read_to :]}")
        seen = self.screen[self._read_to : at + len(text)]
        self._read_to = at + len(text)
        return seen

    def type(self, text: str) -> None:
        """Press keys; a line needs its own newline."""
        os.write(self._end, text.encode())

    def interrupt(self, seconds: float = 20) -> None:
        """Press Ctrl-C when the program waits: readline forgets one that comes while it echoes a key."""
        deadline = time.monotonic() + seconds
        stat = Path(f"/proc/{self.process.pid}/stat")
        while stat.read_text().rpartition(") ")[2][0] != "S":
            assert time.monotonic() < deadline, "the program never waits"
        self.type(CTRL_C)

    def leave(self, seconds: float = 20) -> int:
        """Read until the program ends; returns its exit status."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        status = self.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        os.close(self._end)
        return status

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._end], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._end, 1 << 16)
        except OSError:  # the program has closed the terminal
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)

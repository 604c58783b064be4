"""Runs the commands of an installation and passes on what they print; tests use a fake with the same interface."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from vllama import child

_TICK: Final = 1.0
"""Seconds between two calls of ``tick`` while a command is silent."""
_ASK_SECONDS: Final = 300


class Runner(Protocol):
    """The outside world of an installation."""

    def ask(self, command: Sequence[str], stdin: str = "", environ: Mapping[str, str] | None = None) -> str | None:
        """A short command's standard output; None where it can't be run or fails. ``environ`` is added to ours."""
        ...

    def which(self, name: str) -> str | None:
        """The path of a command; None if it is not found."""
        ...

    def stream(
        self,
        command: Sequence[str],
        hear: Callable[[str], None],
        tick: Callable[[], None],
        hold: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> int:
        """Run a long command: ``hear`` gets each line of its output, ``tick`` is called at least once a second.

        ``hold`` is a file descriptor that the command inherits: a lock on it lasts as long as the command, even
        where we are killed and the command is not. ``environ`` is added to ours. Returns the exit status; OSError
        where it can't be run.
        """
        ...

    def free_bytes(self, folder: Path) -> int:
        """Room on the disk of ``folder``, which exists."""
        ...


class Subprocesses:
    """The real one."""

    def ask(self, command: Sequence[str], stdin: str = "", environ: Mapping[str, str] | None = None) -> str | None:
        """See ``Runner``."""
        try:
            done = subprocess.run(
                command,
                input=stdin.encode(),
                capture_output=True,
                timeout=_ASK_SECONDS,
                check=False,
                **child.start(more=environ),
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    def stream(
        self,
        command: Sequence[str],
        hear: Callable[[str], None],
        tick: Callable[[], None],
        hold: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> int:
        """See ``Runner``."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=() if hold is None else (hold,),
            **child.start(more=environ),
        )
        try:
            if process.stdout is not None:
                with process.stdout:
                    _read(process.stdout.fileno(), hear, tick)
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def which(self, name: str) -> str | None:
        """See ``Runner``."""
        return child.which(name)

    def free_bytes(self, folder: Path) -> int:
        """See ``Runner``."""
        return shutil.disk_usage(folder).free


def _read(pipe: int, hear: Callable[[str], None], tick: Callable[[], None]) -> None:
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if selector.select(_TICK):
                piece = os.read(pipe, 65536)
                *lines, rest = (rest + piece).split(b"\n")
                if not piece and rest:
                    lines.append(rest)
                for line in lines:
                    hear(line.decode(errors="replace").rstrip("\r"))
                if not piece:
                    return
            tick()

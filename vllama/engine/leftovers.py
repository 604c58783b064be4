"""Stops engines, and no other process, that a killed daemon left behind.

Their files go with them: the socket, and the temporary directory, which may hold compiled code.

A pid file names a session. Process ids are used again, by other programs and after a restart of the machine, so a
process is stopped only when it is provably the engine's.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from vllama.engine.session import kill_session, start_time, tidy
from vllama.engine.spec import scratch_directory

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TRACKERS_SECONDS: Final = 2.0  # resource trackers end within milliseconds of those they look after
_POLL_SECONDS: Final = 0.05
_GONE_SECONDS: Final = 30.0


def remember(pid_file: Path, pid: int) -> None:
    """Write down a child for ``sweep``: session id, its leader's start in clock ticks since boot, and which boot."""
    pid_file.write_text(f"{pid} {start_time(pid)} {boot_id()}\n", "ascii")


def sweep(pid_file: Path) -> int:
    """Stop the engine that ``remember`` wrote down; how many processes were stopped. Raises OSError.

    While the leader lives, its start time shows whether it is the engine; if so, its whole session is. When the leader
    is gone, only processes with the engine's own paths in their environment or command line are stopped.
    """
    found = _read(pid_file)
    ended: set[int] = set()
    leaders: set[int] = set()
    if found is not None:
        session, started = found
        ours = partial(_shows, marks=_marks(pid_file))
        began = time.monotonic()
        while time.monotonic() < began + _GONE_SECONDS:
            leader = start_time(session)
            if leader not in {0, started}:
                break  # another process has that number now, so nothing of the engine is left
            killed = kill_session(
                session,
                spare_trackers=time.monotonic() < began + _TRACKERS_SECONDS,
                only=None if leader else ours,
            )
            if not killed:
                break
            ended |= killed
            time.sleep(_POLL_SECONDS)
        leaders.add(session)  # it may have been killed with the daemon
    tidy(ended | leaders)
    socket = pid_file.with_suffix(".sock")
    shutil.rmtree(scratch_directory(socket), ignore_errors=True)
    socket.unlink(missing_ok=True)
    pid_file.unlink(missing_ok=True)
    return len(ended)


def boot_id() -> str:
    """An id that changes with each boot of the machine; ``-`` if it can't be read."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return "-"


def _read(pid_file: Path) -> tuple[int, int] | None:
    """Session and start time; None for a file of another boot, and for one that we did not write."""
    try:
        session, started, boot = pid_file.read_text("ascii").split()
        return (int(session), int(started)) if boot == boot_id() and int(session) > 1 else None
    except (OSError, ValueError):
        return None


def _marks(pid_file: Path) -> tuple[bytes, ...]:
    """What only this engine's processes have: the paths of its socket and of its temporary directory."""
    socket = pid_file.with_suffix(".sock")
    return str(socket).encode(), str(scratch_directory(socket)).encode()


def _shows(pid: int, marks: tuple[bytes, ...]) -> bool:
    words: list[bytes] = []
    for name in ("environ", "cmdline"):
        with suppress(OSError):
            words += Path(f"/proc/{pid}/{name}").read_bytes().split(b"\0")
    return any(word == mark or word.endswith(b"=" + mark) for word in words for mark in marks)

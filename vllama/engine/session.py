"""The processes of one engine as the kernel sees them: their ids, their CPU time, and what they leave behind.

All that an engine starts stays in the session of its leader, so the session's id names them all, also when the leader
is gone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LOWEST: Final = 19
_TRACKER: Final = b"multiprocessing.resource_tracker"
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - POSIX shared memory has its place there


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a session."""

    pid: int
    cpu: float
    """CPU seconds that it used itself, and those of its children that ended and were waited for."""
    started: int
    """Clock ticks since boot."""
    zombie: bool
    session: int = 0


def members(*sessions: int) -> Iterator[Member]:
    """All processes of these sessions, with those that have ended and were not waited for yet."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) and int(fields[3]) in sessions:
            # utime, stime, cutime, cstime: fields 14 to 17 in proc_pid_stat(5), where the state is field 3
            cpu = sum(map(int, fields[11:15])) / _TICKS
            yield Member(int(entry.name), cpu, int(fields[19]), fields[0] == "Z", int(fields[3]))


def living(session: int) -> set[int]:
    """The ids of its processes that have not ended."""
    return {member.pid for member in members(session) if not member.zombie}


def kill_session(session: int, *, spare_trackers: bool = False, only: Callable[[int], bool] | None = None) -> set[int]:
    """SIGKILL every living process of the session, or ``only`` those of them; which there were.

    ``spare_trackers``: not Python's resource trackers. When all others are gone they remove what those left in shared
    memory (vLLM's message queues: hundreds of megabytes), and end.
    """
    found = {pid for pid in living(session) if only is None or only(pid)}
    for pid in found:
        if spare_trackers and _is_tracker(pid):
            continue
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return found


def signal_session(session: int, number: signal.Signals) -> None:
    """Send a signal to every process of the session, also to those that were forked meanwhile.

    Not to Python's resource trackers: they have to see the others' end, also of those that stand still.
    """
    sent: set[int] = set()
    while new := living(session) - sent:
        for pid in new:
            if _is_tracker(pid):
                continue
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        sent |= new


def lowest_priority(pid: int) -> None:
    """Let a process, and what it starts from now on, run only when nothing else wants the CPU or the disk."""
    with suppress(OSError):  # it has ended
        os.setpriority(os.PRIO_PROCESS, pid, _LOWEST)
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def start_time(pid: int) -> int:
    """In clock ticks since boot; 0: there is no such process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


class CpuMeter:
    """The CPU seconds of a session whose members come and go, such as the compilers that an engine starts.

    What a child used counts on when it was waited for, in its parent; what a parent's end takes out of the sum does
    not hide what the others use from then on.
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._seen = 0.0

    def read(self, session: int) -> float:
        """Never less than before."""
        return self.count(members(session))

    def count(self, found: Iterable[Member]) -> float:
        """As ``read``, of these members."""
        now = sum(member.cpu for member in found)
        self._sum += max(0.0, now - self._seen)
        self._seen = now
        return self._sum


def tidy(pids: Iterable[int], folder: Path = _SHARED_MEMORY, user: int | None = None) -> None:
    """Remove what Intel's OpenMP library leaves in shared memory when its process is killed: a file for each.

    Only files of ``user`` (ours if None), and only those whose process has ended (its number may be another's by now).
    """
    owner = os.geteuid() if user is None else user
    for pid in pids:
        path = folder / f"__KMP_REGISTERED_LIB_{pid}_{os.getuid()}"
        with suppress(OSError):
            if path.lstat().st_uid == owner and _ended(pid):
                path.unlink()


def _ended(pid: int) -> bool:
    fields = _stat(pid)
    return fields is None or fields[0] == "Z"


def _is_tracker(pid: int) -> bool:
    try:
        return _TRACKER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _stat(pid: int) -> list[str] | None:
    """/proc/PID/stat from its third field (state) on; the name in brackets may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None

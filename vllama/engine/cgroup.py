"""A control group for one engine below our own: killing it kills everything that the engine started.

Only where systemd delegated ours to us (``Delegate=``, ``DelegateSubgroup=``, control groups v2); elsewhere there is
none, and the engine's session is what is killed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vllama.fit.cgroups import delegated

_MOUNT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
_GIB: Final = 1 << 30
_FRONT_END_SLOWED, _FRONT_END_MOST = 3 * _GIB // 2, 2 * _GIB
"""Bytes of memory that the daemon and its helpers may take. It needs some hundred MB with full bodies from everywhere;
were it to grow without end, engines would be killed for it."""
_DIES_FIRST: Final = 400
"""How much sooner than the daemon an engine is chosen when the machine's memory runs out (of 1000)."""


class EngineGroup:
    """A folder of the cgroup file system."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def adopt(self, pid: int) -> None:
        """Move a process there that has not forked yet: all it starts follows. One that has ended needs no group."""
        with contextlib.suppress(OSError):
            (self.path / "cgroup.procs").write_text(f"{pid}\n")

    def kill(self) -> None:
        """SIGKILL every process in it, also those that are being forked."""
        with contextlib.suppress(OSError):  # it was never used, or is gone
            (self.path / "cgroup.kill").write_text("1")

    @property
    def populated(self) -> bool:
        """Whether a living process is in it."""
        try:
            return "populated 1" in (self.path / "cgroup.events").read_text()
        except OSError:
            return False

    @property
    def oom_kills(self) -> int:
        """How many processes in it the kernel has killed because memory ran out."""
        try:
            lines = (self.path / "memory.events").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    def remove(self) -> None:
        """Remove the folder if it is empty; otherwise it stays until the service ends."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


def make_group(name: str) -> EngineGroup | None:
    """A new group next to the daemon's, or None if we may not make one."""
    service = _delegated()
    if service is None:
        return None
    group = EngineGroup(service / name)
    try:
        group.path.mkdir(exist_ok=True)
    except OSError:
        return None
    return group


def own_group(own: Path = _OWN, mount: Path = _MOUNT) -> EngineGroup | None:
    """The group that we are in ourselves, and engines without one of their own; None without control groups v2."""
    try:
        lines = own.read_text().splitlines()
        return EngineGroup(mount / next(line.removeprefix("0::/") for line in lines if line.startswith("0::/")))
    except (OSError, StopIteration):
        return None


def bound_front_end(own: Path = _OWN, mount: Path = _MOUNT, marked: Callable[[Path], bool] = delegated) -> bool:
    """Limit the memory of our own group, engines not included; returns whether that succeeded.

    Engines have groups of their own next to it, where the kernel counts their memory from then on.
    """
    service, group = _delegated(own, mount, marked), own_group(own, mount)
    if service is None or group is None:
        return False
    try:
        (service / "cgroup.subtree_control").write_text("+memory")
        (group.path / "memory.high").write_text(f"{_FRONT_END_SLOWED}")
        (group.path / "memory.max").write_text(f"{_FRONT_END_MOST}")
    except OSError:  # no controller for memory, as with the older kind of control groups
        return False
    return True


def let_die_first(pid: int, processes: Path = Path("/proc")) -> None:
    """Make the kernel kill an engine, and all it starts, before us when memory runs out."""
    score = processes / str(pid) / "oom_score_adj"
    with contextlib.suppress(OSError, ValueError):  # it has ended already
        score.write_text(str(min(int(score.read_text()) + _DIES_FIRST, 1000)))


def _delegated(own: Path = _OWN, mount: Path = _MOUNT, marked: Callable[[Path], bool] = delegated) -> Path | None:
    """The service's group that was delegated to us, when the daemon is in a subgroup of it."""
    group = own_group(own, mount)
    return group.path.parent if group is not None and marked(group.path.parent) else None

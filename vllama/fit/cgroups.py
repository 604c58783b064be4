"""Reads the limits of memory and cores that the control groups around us set."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_DELEGATED: Final = "user.delegate"
"""systemd's mark on a group that it leaves to the service (systemd.resource-control(5))."""


def delegated(group: Path) -> bool:
    """Whether systemd has left a group to the service."""
    try:
        return os.getxattr(group, _DELEGATED) == b"1"
    except OSError:
        return False


def limits_begin(group: Path, marked: Callable[[Path], bool] = delegated) -> Path:
    """Where the limits begin that hold for engines, too: ours, or the service's if ours is a part of it."""
    return group.parent if marked(group.parent) else group


class GroupLimits:
    """The tightest limits of the cgroups around a process."""

    def __init__(self) -> None:
        self.memory: int | None = None
        self.used = 0
        self.cpus: float | None = None


def group_limits(
    membership: Path = _MEMBERSHIP, root: Path = _CGROUPS, begin: Callable[[Path], Path] = limits_begin
) -> GroupLimits:
    """Walk from the process's cgroup (version 2) up to the root."""
    limits = GroupLimits()
    try:
        line = next(text for text in membership.read_text().splitlines() if text.startswith("0::"))
    except (OSError, StopIteration):
        return limits
    relative = line.removeprefix("0::").strip("/")
    group = begin(root / relative) if ".." not in relative else root
    while True:
        memory = _number(group / "memory.max")
        if memory is not None and (limits.memory is None or memory < limits.memory):
            # page cache of the group is given back when memory is needed
            cached = _stat(group / "memory.stat", "inactive_file")
            limits.memory, limits.used = memory, max((_number(group / "memory.current") or 0) - cached, 0)
        quota = _quota(group / "cpu.max")
        if quota is not None and (limits.cpus is None or quota < limits.cpus):
            limits.cpus = quota
        if group in {root, group.parent}:
            return limits
        group = group.parent


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _stat(path: Path, key: str) -> int:
    for line in _read(path).splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.isdecimal():
            return int(value)
    return 0


def _quota(path: Path) -> float | None:
    quota, _, period = _read(path).strip().partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None

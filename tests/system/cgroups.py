"""Control groups for one lab on the machine outside: the safety net that ends whatever it left behind."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_GONE_SECONDS: Final = 5.0


def unified() -> bool:
    """This machine has control groups v2 and nothing else: inside, MemoryMax= has effect."""
    return (_ROOT / "cgroup.controllers").exists()


class Cgroups:
    """In every hierarchy that systemd uses."""

    def __init__(self, lab: str) -> None:
        self._folders = [hierarchy / lab for hierarchy in _hierarchies()]

    def make(self) -> None:
        """Make them in every hierarchy."""
        if unified():  # where no systemd outside has done it
            with contextlib.suppress(OSError):
                (_ROOT / "cgroup.subtree_control").write_text("+memory +pids")
        for folder in self._folders:
            folder.mkdir(exist_ok=True)

    def enter_command(self) -> str:
        """Shell words that put the shell into them."""
        return " && ".join(f"echo $$ > {folder}/cgroup.procs" for folder in self._folders)

    def end(self) -> None:
        """Kill who is in them, and remove them."""
        for folder in self._folders:
            with contextlib.suppress(OSError):
                (folder / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + _GONE_SECONDS
        while any(not _remove(folder) for folder in self._folders) and time.monotonic() < deadline:
            time.sleep(0.05)


@contextmanager
def memory_limit(name: str, pid: int, size: int) -> Iterator[None]:
    """Hold a process, and what it starts from now on, to ``size`` bytes together, by the v1 hierarchy of memory."""
    group = _ROOT / "memory" / name
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(size))
        (group / "memory.swappiness").write_text("0")
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):  # it has just ended
                (group.parent / "cgroup.procs").write_text(left)
        group.rmdir()


def _hierarchies() -> Iterator[Path]:
    if unified():
        yield _ROOT
        return
    for name in ("unified", "systemd"):
        if (_ROOT / name / "cgroup.procs").exists():
            yield _ROOT / name


def _remove(folder: Path) -> bool:
    """True when it is gone; a group that still has somebody in it stays."""
    for inner in sorted(folder.rglob("*/"), key=lambda path: len(path.parts), reverse=True) if folder.exists() else ():
        if inner.is_dir():
            with contextlib.suppress(OSError):
                inner.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()

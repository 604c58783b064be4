"""Control groups for one lab on the machine outside: the safety net that ends whatever it left behind."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = ("memory", "pids", "devices")
_GONE_SECONDS: Final = 5.0


def unified() -> bool:
    """This machine has control groups v2 and nothing else."""
    return (_ROOT / "cgroup.controllers").exists()


class Cgroups:
    """``limits``: on a hybrid machine, also the v1 hierarchies that MemoryMax= needs there."""

    def __init__(self, lab: str, *, limits: bool) -> None:
        self._folders = [hierarchy / lab for hierarchy in _hierarchies(limits=limits)]

    def make(self) -> None:
        """Make them in every hierarchy."""
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


def _hierarchies(*, limits: bool) -> Iterator[Path]:
    if unified():
        yield _ROOT
        return
    for name in ("unified", "systemd", *(_LIMITS if limits else ())):
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

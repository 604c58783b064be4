"""Real child processes named like vLLM's EngineCore and Worker, so that killing the group matters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_LIFE = 900  # seconds; an orphan that a test left behind ends by itself
_CHILD = (
    "import ctypes, signal, sys, time; "
    "ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0); "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN); "
    f"time.sleep({_LIFE})"
)
_CUT = 15  # bytes of a process's name that the kernel keeps


class Children:
    """EngineCore and Worker of one engine; they outlive a killed parent, as vLLM's do."""

    def __init__(self) -> None:
        self._processes = [self._spawn("VLLM::EngineCore"), self._spawn("VLLM::Worker")]

    @staticmethod
    def _spawn(title: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-ISc", _CHILD, title[:_CUT]])

    @property
    def dead(self) -> bool:
        """One of them is gone."""
        return any(process.poll() is not None for process in self._processes)

    @property
    def stopped(self) -> bool:
        """One of them got SIGSTOP: the engine hangs while its HTTP server goes on."""
        return any(_state(process.pid) in "Tt" for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """EngineCore's, then Worker's."""
        return [process.pid for process in self._processes]

    def kill(self) -> None:
        """End and reap them."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()


def _state(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X"
    return text.rpartition(")")[2].split()[0]

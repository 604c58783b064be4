"""The service in front of an engine, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_END_SECONDS = 60


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, to the nanosecond: /proc/PID/stat counts in ticks of 10 ms, and only samples."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@dataclass(frozen=True, slots=True)
class Stand:
    """Where both are, as ``tests.stand`` prints it."""

    direct: str
    """The engine: ``unix:/PATH``."""
    through: str
    """Our URL."""
    model: str
    served_name: str
    """What the engine calls it."""
    pid: int
    """Of the service."""


@contextmanager
def started(token_rate: float, engine: str = "fake") -> Iterator[Stand]:
    """Start both; they end with the block. ``engine``: ``fake``, each stream of this speed, or ``real``."""
    argv = [sys.executable, "-m", "tests.stand", engine, "--token-rate", str(token_rate)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, "the service did not start; what it said is above"
            reported = json.loads(line)
            yield Stand(served_name=f"{reported['model']}:latest", **reported)
        finally:
            process.stdin.close()
            process.wait(_END_SECONDS)

"""What the service holds: memory, descriptors, threads and processes, as the kernel counts them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Self

import psutil

from tests.live import LiveService


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of the service itself, without its engines."""

    memory: int
    """Bytes in RAM."""
    descriptors: int
    threads: int
    processes: int
    """Below it, all generations, without a spare interpreter."""

    @classmethod
    def of(cls, service: LiveService) -> Self:
        """At this moment."""
        process = psutil.Process(service.pid)
        with process.oneshot():
            memory, threads = process.memory_info().rss, process.num_threads()
        spare = service.spare() is not None
        return cls(memory, process.num_fds(), threads, len(service.family()) - spare)


async def until_descriptors(service: LiveService, most: int, *, within: float = 10.0) -> None:
    """Wait until the service holds at most so many descriptors."""
    deadline = time.monotonic() + within
    while (held := Footprint.of(service).descriptors) > most:
        assert time.monotonic() < deadline, f"{held} descriptors after {within} s, wanted at most {most}"
        await asyncio.sleep(0.05)

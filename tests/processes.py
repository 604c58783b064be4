"""Watches processes that don't report their end to the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import psutil


def alive(pid: int) -> bool:
    """There, and more than an entry that nobody has read yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def until_gone(pids: Sequence[int], seconds: float) -> None:
    """Wait until none of them lives (a zombie does not)."""
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still there after {seconds} s: {pids}"
        await asyncio.sleep(0.02)

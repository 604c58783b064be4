"""Gives an idle engine's memory back: to the swap space, when the service asks for it by a signal.

Each process moves its own memory out. That needs no right; for another process it would be CAP_SYS_NICE. Pages come
back as they are used again, and most are not: modules that were needed at the start, an empty KV cache.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WANTED = "VLLAMA_PAGING"
"""In the environment of an engine that shall be able to."""
SIGNAL = signal.SIGUSR1
_MADV_PAGEOUT = 21
_MAPS = Path("/proc/self/maps")


def offer() -> None:
    """Listen to the signal. Only a process's main thread can."""
    if os.environ.get(WANTED) and threading.current_thread() is threading.main_thread():
        signal.signal(SIGNAL, _asked)


def _asked(*_: Any) -> None:
    page_out()
    with contextlib.suppress(KeyError, OSError):  # the service waits for this file
        Path(os.environ["TMPDIR"], f"paged.{os.getpid()}").touch()


def page_out() -> None:
    """Move what this process has written to out of memory. What can't be moved, for lack of swap space, stays."""
    advise = ctypes.CDLL(None).madvise
    for start, end in _written(_MAPS.read_text()):
        advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_PAGEOUT)


def _written(maps: str) -> Iterator[tuple[int, int]]:
    """First and last address of each mapping that can be written to."""
    for line in maps.splitlines():
        addresses, rights, *_ = line.split()
        if "w" in rights:
            start, _, end = addresses.partition("-")
            yield int(start, 16), int(end, 16)

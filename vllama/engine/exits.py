"""Notices that a child process has ended, without waiting for its pipes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable


def notice_exit(process: subprocess.Popen[bytes], ended: Callable[[], None]) -> Callable[[], None]:
    """Call ``ended`` when the child itself has ended; its status is known then. Returns a function that stops watching.

    asyncio's own wait would also wait for its pipes, which orphaned children hold open. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    watched = os.pidfd_open(process.pid)
    watching = True

    def stop() -> None:
        nonlocal watching
        if watching:
            watching = False
            loop.remove_reader(watched)
            os.close(watched)

    def over() -> None:
        stop()
        process.poll()
        ended()

    try:
        loop.add_reader(watched, over)
    except OSError:
        os.close(watched)
        raise
    return stop

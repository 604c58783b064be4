"""Makes the processes of an idle engine move their memory to swap space (``plugin/vllama_engine/paging``)."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from vllama.engine.session import living
from vllama.errors import EngineError

_SIGNAL: Final = signal.SIGUSR1
_POLL_SECONDS: Final = 0.05


async def page_out(session: int, scratch: Path, seconds: float) -> None:
    """Ask every process of the engine that listens, and wait until each has done it. Raises EngineError.

    ``session``: of the engine's processes; ``scratch``: its temporary directory, where each of them leaves a file.
    """
    asked = {pid for pid in await asyncio.to_thread(living, session) if listens(pid)}
    if not asked:
        raise EngineError("none of its processes can move its memory to swap space")
    for pid in asked:
        with suppress(ProcessLookupError):
            os.kill(pid, _SIGNAL)
    try:
        async with asyncio.timeout(seconds):
            for pid in asked:
                await _done(pid, scratch / f"paged.{pid}")
    except TimeoutError as error:
        raise EngineError(f"its memory was not moved to swap space within {seconds:.0f} s") from error


def listens(pid: int, processes: Path = Path("/proc")) -> bool:
    """Whether the process handles the signal, which would end any other."""
    try:
        lines = (processes / str(pid) / "status").read_text().splitlines()
    except OSError:
        return False
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    ended = fields.get("State", "Z").strip().startswith("Z")
    return not ended and bool(int(fields.get("SigCgt", "0"), 16) >> (_SIGNAL - 1) & 1)


async def _done(pid: int, file: Path) -> None:
    """Until the process has left the file, or is gone."""
    while listens(pid):
        if await asyncio.to_thread(_removed, file):
            return
        await asyncio.sleep(_POLL_SECONDS)


def _removed(file: Path) -> bool:
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True

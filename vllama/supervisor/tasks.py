"""Background tasks whose failures are never lost: an exception is logged and passed to a callback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
_LOG: Final = logging.getLogger("vllama.supervisor")


class Tasks:
    """Runs tasks and holds references to them. Belongs to one event loop."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], failed: Callable[[Exception], None]) -> asyncio.Task[None]:
        """Run ``work``; what it raises goes to ``failed``, unless it was cancelled."""
        task = asyncio.get_running_loop().create_task(_noticed(work, failed))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self, seconds: float) -> None:
        """Let them end by themselves for ``seconds``, then cancel what is left."""
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=seconds)
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def outcome(work: Awaitable[T]) -> T | Exception:
    """What ``work`` returned or raised, for callers that go on in either case."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - it becomes an event
        _LOG.exception("supervision failed")
        return error


async def _noticed(work: Awaitable[None], failed: Callable[[Exception], None]) -> None:
    if isinstance(error := await outcome(work), Exception):
        failed(error)


def announce(call: Callable[[], object]) -> None:
    """Call a listener; its failure is logged and goes no further."""
    try:
        call()
    except Exception:  # noqa: BLE001 - a listener's own
        _LOG.exception("a listener for changes of engines failed")

"""Shared downloads: a request for a repository that is being fetched joins that fetch; it ends with its last follower.

Each is a child process (``download.process``). When it is stopped, the next one goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

from vllama.download.process import run_child
from vllama.errand.lines import Advance
from vllama.errors import PullFailed
from vllama.install.capabilities import shipped_registry
from vllama.install.registry import Registry
from vllama.models.arrival import Part
from vllama.models.sources import Source


class Downloads:
    """All fetches of one service. Belongs to its event loop."""

    def __init__(
        self, state: Path, environ: Mapping[str, str], registry: Callable[[], Registry] = shipped_registry
    ) -> None:
        """``environ``: the service's environment, which holds the hub's own settings (HF_TOKEN, HF_ENDPOINT ...)."""
        self._state, self._environ = state, environ
        self._running: dict[Source, _Transfer] = {}
        self.registry = registry
        """What the engine knows about models, at the moment."""

    async def follow(self, source: Source) -> AsyncGenerator[tuple[Part, ...] | str]:
        """Fetch a repository: yields the parts that moved, at the end the commit. Raises PullFailed.

        Several may follow one source. Closing the iterator leaves the download, which ends with its last follower.
        """
        transfer = self._running.get(source)
        if transfer is None:
            transfer = self._running[source] = _Transfer(source, self._state, self._environ, self.registry)
        transfer.followers += 1
        try:
            sent: dict[str, Part] = {}
            while True:
                moved = transfer.moved  # before looking, so that nothing is missed
                fresh = tuple(part for part in transfer.parts.values() if sent.get(part.digest) != part)
                sent |= {part.digest: part for part in fresh}
                if fresh:
                    yield fresh
                if transfer.task.cancelled():
                    raise PullFailed(f"fetching {source} was stopped", hint="Pull again; what was fetched is kept.")
                if transfer.task.done():
                    yield transfer.task.result()
                    return
                await moved.wait()
        finally:
            transfer.followers -= 1
            if not transfer.followers:
                if self._running.get(source) is transfer:
                    del self._running[source]
                await transfer.end()

    async def close(self) -> None:
        """End all downloads; what they brought is kept."""
        for transfer in tuple(self._running.values()):
            await transfer.end()


class _Transfer:
    """One child and what it reported so far."""

    def __init__(
        self, source: Source, state: Path, environ: Mapping[str, str], registry: Callable[[], Registry]
    ) -> None:
        self.followers = 0
        self.parts: dict[str, Part] = {}
        self.moved = asyncio.Event()
        """Set, and replaced by a new one, whenever something changes."""
        fetch = run_child("fetch", source, registry(), environ, self._hear, state=str(state))
        self.task: asyncio.Task[str] = asyncio.create_task(fetch)
        self.task.add_done_callback(self._ended)

    async def end(self) -> None:
        """End the child, if it still runs."""
        self.task.cancel()
        await asyncio.wait({self.task})

    def _hear(self, advance: Advance) -> None:
        self.parts[advance.stage] = Part(advance.stage, advance.total, advance.done)
        self._move()

    def _ended(self, task: asyncio.Task[str]) -> None:
        if not task.cancelled():
            task.exception()  # the followers get it; mark it as read in case all have left
        self._move()

    def _move(self) -> None:
        before, self.moved = self.moved, asyncio.Event()
        before.set()

"""Shared downloads: a request for a repository that is being fetched joins that fetch; it ends with its last follower.

Each fetch is a child process (``models.fetching``). It can be stopped at any moment, and what it fetched is kept. So
the hub's library takes no memory of the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import orjson

from vllama import child
from vllama.download.messages import REGISTRY, error_of
from vllama.errors import PullFailed
from vllama.install.capabilities import shipped_registry
from vllama.install.registry import Registry
from vllama.models.sources import Source

_LOG = logging.getLogger("vllama.models")
_LONGEST_LINE: Final = 64 << 20
_LEAVE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """What one bar shows: a file of weights, or all small files together."""

    digest: str
    """64 hex digits: the file's SHA-256, or of the small files one made of their names and sizes."""
    total: int
    completed: int


class Downloads:
    """All fetches of one service. Belongs to its event loop."""

    def __init__(
        self, state: Path, environ: Mapping[str, str], registry: Callable[[], Registry] = shipped_registry
    ) -> None:
        """``environ``: the service's environment, which holds the hub's own settings (HF_TOKEN, HF_ENDPOINT ...)."""
        self._state = state
        self._environ, self._secrets = hub_environment(environ), child.secrets_in(environ)
        self._running: dict[Source, _Download] = {}
        self.registry = registry
        """What the engine knows about models, at the moment."""

    async def follow(self, source: Source) -> AsyncGenerator[tuple[Part, ...] | str]:
        """Fetch a repository: yields the parts that moved, at the end the commit. Raises PullFailed.

        Several may follow one source. Closing the iterator leaves the download, which ends with its last follower.
        """
        download = self._running.get(source)
        if download is None:
            download = self._running[source] = _Download(
                source, self._state, self._environ, self._secrets, self.registry
            )
        download.followers += 1
        try:
            sent: dict[str, Part] = {}
            while True:
                moved = download.moved  # before looking, so that nothing is missed
                fresh = tuple(part for part in download.parts if sent.get(part.digest) != part)
                sent |= {part.digest: part for part in fresh}
                if fresh:
                    yield fresh
                if download.task.cancelled():
                    raise PullFailed(f"fetching {source} was stopped", hint="Pull again; what was fetched is kept.")
                if download.task.done():
                    yield download.task.result()
                    return
                await moved.wait()
        finally:
            download.followers -= 1
            if not download.followers:
                if self._running.get(source) is download:
                    del self._running[source]
                await download.end()

    async def close(self) -> None:
        """End all downloads; what they brought is kept."""
        for download in tuple(self._running.values()):
            await download.end()


class _Download:
    """One child and what it reported so far."""

    def __init__(
        self,
        source: Source,
        state: Path,
        environ: Mapping[str, str],
        secrets: Mapping[str, str],
        registry: Callable[[], Registry],
    ) -> None:
        self.followers = 0
        self.parts: tuple[Part, ...] = ()
        self.moved = asyncio.Event()
        """Set, and replaced by a new one, whenever something changes."""
        self._source, self._state, self._environ, self._secrets = source, state, environ, secrets
        self._registry = registry
        self._files: dict[str, str] = {}
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(self._ended)

    async def end(self) -> None:
        """End the child, if it still runs."""
        self.task.cancel()
        await asyncio.wait({self.task})

    def _ended(self, task: asyncio.Task[str]) -> None:
        if not task.cancelled():
            task.exception()  # the followers get it; mark it as read in case all have left
        self._move()

    def _move(self) -> None:
        before, self.moved = self.moved, asyncio.Event()
        before.set()

    async def _run(self) -> str:
        process = await asyncio.create_subprocess_exec(
            *child.module("vllama.download.child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            **child.start(self._environ),
            limit=_LONGEST_LINE,
            start_new_session=True,  # a Ctrl-C at the terminal is ours to answer
        )
        stdin = cast("asyncio.StreamWriter", process.stdin)
        stdout, stderr = (cast("asyncio.StreamReader", pipe) for pipe in (process.stdout, process.stderr))
        errors = asyncio.create_task(stderr.read())
        try:
            registry = REGISTRY.dump_python(self._registry(), mode="json")
            wanted = {
                "source": str(self._source),
                "state": str(self._state),
                "secrets": self._secrets,
                "registry": registry,
            }
            stdin.write(orjson.dumps(wanted) + b"\n")
            async for line in stdout:
                commit = self._read(orjson.loads(line))
                if commit is not None:
                    return commit
            said = (await errors).decode("utf-8", "replace").strip()
            _LOG.error("fetching %s broke off: %s", self._source, said)
            raise PullFailed(f"fetching {self._source} broke off: {said.rpartition(chr(10))[2] or 'no reason given'}")
        finally:
            stdin.close()  # the child leaves when its input ends
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            errors.cancel()

    def _read(self, line: Mapping[str, Any]) -> str | None:
        """One line of the child; the commit when it was the last."""
        match line:
            case {"plan": plan}:
                self._plan(plan["files"])
            case {"here": here}:
                sums: dict[str, int] = {}
                for name, size in here.items():
                    digest = self._files[name]
                    sums[digest] = sums.get(digest, 0) + size
                self.parts = tuple(replace(part, completed=sums.get(part.digest, 0)) for part in self.parts)
                self._move()
            case {"done": str(commit)}:
                return commit
            case {"failed": failed}:
                raise error_of(failed)
        return None

    def _plan(self, files: list[dict[str, Any]]) -> None:
        """One part a large file, one for the others together."""
        small = [file for file in files if not file["sha256"]]
        listed = "".join(f"{file['name']}\0{file['size']}\n" for file in small)
        together = sha256(f"{self._source}\0{listed}".encode()).hexdigest()
        self._files = {file["name"]: file["sha256"] or together for file in files}
        totals: dict[str, int] = {}
        for file in files:
            digest = self._files[file["name"]]
            totals[digest] = totals.get(digest, 0) + file["size"]
        self.parts = tuple(Part(digest, total, 0) for digest, total in totals.items())
        self._move()


def hub_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Of the hub's library: no telemetry, and plain HTTP, because only that can go on where it stopped.

    Without secrets, because all programs of our user can read a child's environment. Secrets go to its standard input.
    """
    own = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    return {**own, **child.without_secrets(environ)}

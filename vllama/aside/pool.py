"""The processes that work outside the event loop: started when needed, killed when a job takes too long.

Threads would share the interpreter with the event loop and can't be ended. A worker takes one job at a time over its
standard input and answers over its standard output (``aside.worker``); it leaves when its input ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

from vllama import child
from vllama.aside.port import TookTooLong
from vllama.aside.turns import FairTurns
from vllama.aside.worker import HEAD, READY
from vllama.errors import Busy, VllamaError

T = TypeVar("T")
_log = logging.getLogger(__name__)
_SECONDS: Final = 10.0
"""For one job: ordinary ones take a hundredth of that, on a busy machine too."""
_START_SECONDS: Final = 60.0
_MOST_WORKERS: Final = 4
_TRIES: Final = 2
"""A worker killed from outside (for example by the kernel, out of memory) need not be the fault of its job."""
_WORKER: Final = "vllama.aside.worker"


class WorkerPool:
    """``run`` jobs, ``close`` at the end. Nothing is started before the first job."""

    def __init__(
        self, environ: Mapping[str, str] | None = None, *, workers: int | None = None, seconds: float = _SECONDS
    ) -> None:
        """``environ``: of the workers; None: ours without secrets."""
        most = workers or max(2, min(_MOST_WORKERS, (os.cpu_count() or 1) // 2))
        self._environ, self._seconds = environ, seconds
        self._turns = FairTurns(most)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._tasks: set[asyncio.Task[bytes]] = set()
        self._closed = False

    async def run(self, client: str, job: Callable[..., T], *args: Any) -> T:
        """As ``Aside.run``."""
        data = pickle.dumps((job, args), protocol=pickle.HIGHEST_PROTOCOL)
        begun = asyncio.Event()
        task = asyncio.create_task(self._in_turn(client, data, begun))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        try:
            return cast("T", _result(await asyncio.shield(task)))
        except asyncio.CancelledError:
            # The client has left. A running job keeps its client's turn until it ends: to kill the worker would mean
            # to start a new one for each client that leaves.
            if not begun.is_set():
                task.cancel()
            raise

    async def close(self) -> None:
        """End all workers, whatever they do."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in tuple(self._all)))

    def _done(self, task: asyncio.Task[bytes]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the waiting request gets it; mark it as read in case the client has left

    async def _in_turn(self, client: str, data: bytes, begun: asyncio.Event) -> bytes:
        async with self._turns.turn(client):
            begun.set()
            for _ in range(_TRIES):
                try:
                    return await self._answer(data)
                except (OSError, asyncio.IncompleteReadError):
                    _log.warning("a worker process died while it worked on a request")
            raise VllamaError("a worker process of the server died twice; see the server's log")

    async def _answer(self, data: bytes) -> bytes:
        worker = await self._take()
        fit = False
        try:
            async with asyncio.timeout(self._seconds):
                answer = await worker.ask(data)
            fit = True
        except TimeoutError:
            raise TookTooLong(
                f"the request's template or schema takes longer than {self._seconds:.0f} s",
                hint="Send a simpler template or schema, or a shorter conversation.",
            ) from None
        finally:
            if not fit:
                await self._drop(worker)
        self._idle.append(worker)
        return answer

    async def _take(self) -> _Worker:
        while self._idle:
            if (worker := self._idle.pop()).alive:
                return worker
            await self._drop(worker)
        if self._closed:
            raise Busy("the server is about to stop")
        worker = _Worker(await self._spawn())
        self._all.add(worker)
        fit = False
        try:
            async with asyncio.timeout(_START_SECONDS):
                await worker.ready()
            fit = True
        finally:
            if not fit:
                await self._drop(worker)
        return worker

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *child.module(_WORKER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            **child.start(self._environ),
            start_new_session=True,  # a Ctrl-C at the terminal is ours to answer
        )

    async def _drop(self, worker: _Worker) -> None:
        self._all.discard(worker)
        await worker.end()


class _Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._in = cast("asyncio.StreamWriter", process.stdin)
        self._out = cast("asyncio.StreamReader", process.stdout)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ready(self) -> None:
        """Wait until it has imported what it needs."""
        await self._out.readexactly(len(READY))

    async def ask(self, data: bytes) -> bytes:
        self._in.write(HEAD.pack(len(data)) + data)
        await self._in.drain()
        (length,) = HEAD.unpack(await self._out.readexactly(HEAD.size))
        return await self._out.readexactly(length)

    async def end(self) -> None:
        """Kill it, at once: it holds nothing."""
        if self.alive:
            with suppress(ProcessLookupError):
                self._process.kill()
        await asyncio.shield(self._process.wait())


def _result(answer: bytes) -> Any:
    failure, value = pickle.loads(answer)  # noqa: S301 - written by our own program
    if isinstance(failure, VllamaError):
        raise failure
    if failure is not None:
        _log.error("a job in a worker process failed:\n%s", failure)
        raise VllamaError("internal error; the server's log says more")
    return value

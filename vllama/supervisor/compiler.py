"""Compiles models: starts an engine at the lowest priority for the code that it leaves in the cache.

It is an engine like any other, with a socket of its own, and is killed as soon as it listens: by then vLLM has saved
the code. ``supervisor.compilation`` decides when.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from vllama.engine import kept_code
from vllama.engine.diagnose import Cause
from vllama.engine.spec import EngineSpec
from vllama.errors import NoRoomYet
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.child import end
from vllama.supervisor.mishaps import mishap
from vllama.supervisor.plans import Planner
from vllama.supervisor.probes import Patience, until_listening
from vllama.supervisor.spawner import Process, Spawner
from vllama.supervisor.tasks import outcome
from vllama.supervisor.tenants import Tenant

_LOG = logging.getLogger("vllama.supervisor")
_NOT_KEPT: Final = "the engine compiled the model but kept no code"
_COMPILING: Final = "the model can't be compiled"
_LAST_SECONDS: Final = 45.0  # SIGKILL, and until the processes are gone


class Compiler:
    """At most one process at a time. Belongs to one event loop."""

    def __init__(
        self,
        planner: Callable[[], Planner],
        patience: Callable[[], Patience],
        tenants: Callable[[], Sequence[Tenant]],
        post: Callable[[ev.Event], None],
        spawner: Spawner,
    ) -> None:
        """``post`` brings an event to the loop; ``tenants`` are all that hold memory."""
        self._planner, self._patience, self._tenants = planner, patience, tenants
        self._post, self._spawner = post, spawner
        self._task: asyncio.Task[ev.CompilationEnded] | None = None
        self._process: Process | None = None
        self._pauses = 0
        """Odd while it is paused."""
        self._loop = asyncio.get_running_loop()

    def start(self, action: act.Compile) -> None:
        """Ends in CompilationEnded."""
        self._pauses = 0
        began = self._loop.time()

        def done(task: asyncio.Task[ev.CompilationEnded]) -> None:
            # here and not in the task: a task that is cancelled before its first step runs none of its code
            ended = ev.CompilationEnded(self._loop.time(), action.run) if task.cancelled() else task.result()
            _report(action.model.name.short, self._loop.time() - began, ended)
            self._post(ended)

        self._task = self._loop.create_task(self._compile(action))
        self._task.add_done_callback(done)

    def pause(self, *, paused: bool) -> None:
        """Pause the process, or let it continue."""
        self._pauses += 1
        if self._process is not None:
            self._process.pause(paused=paused)

    def end(self) -> None:
        """Makes CompilationEnded come soon."""
        if self._task is not None and not self._task.cancelling():  # only once: the clean-up must not be cancelled
            self._task.cancel()

    async def close(self) -> None:
        """Kill what still runs, at once."""
        self.end()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=_LAST_SECONDS)

    async def _compile(self, action: act.Compile) -> ev.CompilationEnded:
        """Until the code is made, or why it is not. Cancelled when it must end."""
        found: Cause | Exception | None = Cause("killed", "it was killed")
        try:
            found = await outcome(self._made(action))
        finally:
            await self._gone(whole=found is None)
        now, run = self._loop.time(), action.run
        match found:
            case NoRoomYet():
                return ev.CompilationEnded(now, run, later=True)
            case Exception():
                return ev.CompilationEnded(now, run, cause=mishap(found, _COMPILING))
            case _:
                return ev.CompilationEnded(now, run, made=found is None, cause=found)

    async def _made(self, action: act.Compile) -> Cause | NoRoomYet | None:
        """None once the code is in the cache."""
        name = action.model.name.short
        if not await asyncio.to_thread(action.model.path.exists):
            return Cause("gone", "the model's files are gone")
        try:
            await self._planner().room_to_compile(action.spec, self._tenants())
        except NoRoomYet as error:
            return error
        _LOG.info("%s: compiling while the machine is idle", name, extra={"model": name})
        return await self._run(action.run, action.spec)

    async def _run(self, run: int, spec: EngineSpec) -> Cause | None:
        """The life of the process; None once it has left its code."""
        process = self._spawner.process(
            spec, lambda stage: self._post(ev.CompilationProgressed(self._loop.time(), run, stage))
        )
        process.spawn()
        self._process = process
        self._spawner.remember(spec, process.pid)
        if self._pauses % 2:  # a request came while it was started
            process.pause(paused=True)
        listening = asyncio.create_task(self._until_listening(process))
        exited = asyncio.create_task(process.exited())
        try:
            await asyncio.wait((listening, exited), return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                ended = await process.wait()
                if not ended.memory:
                    await outcome(self._planner().distrust(spec, process.progress))
                return ended
            if (cause := listening.result()) is not None:
                return cause
        finally:
            listening.cancel()
            exited.cancel()
            await asyncio.gather(listening, exited, return_exceptions=True)
        if not process.progress.code:
            reason = process.progress.compilation.unkept or "it did not say why"
            return Cause("no_code", f"{_NOT_KEPT}: {reason}", "see that paths.cache can be written and has room")
        await self._planner().learn(spec, process.progress)
        return None

    async def _until_listening(self, process: Process) -> Cause | None:
        """As for any engine; but the time in which it stood still does not count as a stall."""
        client = self._spawner.client(process.spec.socket)
        try:
            while True:
                pauses = self._pauses
                cause = await until_listening(client, process, self._patience())
                if cause is None or (pauses == self._pauses and not pauses % 2):
                    return cause
        finally:
            await client.close()

    async def _gone(self, *, whole: bool) -> None:
        """Remove all that is left of it: its process, its note, and code that is not ``whole``."""
        process, self._process = self._process, None
        if process is None:
            return
        await end(process)
        await outcome(process.wait())  # removes its socket and its directory
        await outcome(self._forget(process.spec))
        if not whole:  # killed in the middle it may leave half a file, which the next one would use
            await outcome(asyncio.to_thread(kept_code.distrust, process.spec, process.progress.compilation))

    async def _forget(self, spec: EngineSpec) -> None:
        self._spawner.forget(spec)


def _report(name: str, seconds: float, ended: ev.CompilationEnded) -> None:
    about = {"model": name}
    if ended.made:
        _LOG.info("%s: compiled in %.0f s; the next load uses it", name, seconds, extra=about)
    elif ended.cause is not None:
        _LOG.warning("%s: it was not compiled: %s", name, ended.cause.sentence, extra=about)
    elif ended.later:
        _LOG.debug("%s: there is not enough memory to compile it now", name, extra=about)
    else:
        _LOG.info("%s: compiling stopped, because the machine is needed; it is tried again later", name, extra=about)

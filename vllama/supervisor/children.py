"""The living side of the engines: carries out what the state machine decided, and tells how it went as events.

One task per run of an engine, from spawn to burial; whatever is slow (planning, health, the first answer) runs beside
the loop and comes back as one more event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vllama.engine.client import EngineClient
from vllama.engine.diagnose import Cause
from vllama.engine.process import EngineProcess, remember
from vllama.engine.progress import Progress
from vllama.engine.spec import EngineSpec
from vllama.errors import ConfigError, EngineError, LoadFailed, NoRoomYet, VllamaError
from vllama.models.model import Model
from vllama.supervisor import events as ev
from vllama.supervisor.adapters import Adapters
from vllama.supervisor.neighbours import Neighbour
from vllama.supervisor.probes import DIED, Patience, first_answer, until_listening, until_unhealthy
from vllama.supervisor.states import LOADING, EngineState

_LOG = logging.getLogger("vllama.supervisor")
_SLEEP_SECONDS = 120.0  # weights move over the bus: seconds even for the largest (reference 4.3)


class Planner(Protocol):
    """Works out how to start engines (``planner.Planner``)."""

    async def spec(self, model: Model, neighbours: Sequence[Neighbour], attempt: int) -> EngineSpec:
        """How to start ``model`` beside its neighbours; each ``attempt`` takes less memory than the one before.

        Raises NoRoomYet when engines must make room first, another VllamaError when it can't be started at all.
        """
        ...

    async def room_to_wake(self, spec: EngineSpec, neighbours: Sequence[Neighbour]) -> None:
        """Raises NoRoomYet when the sleeping engine of ``spec`` would not find its memory free."""
        ...

    async def learn(self, spec: EngineSpec, progress: Progress) -> None:
        """The engine of ``spec`` told this about its memory."""
        ...


@dataclass(slots=True)
class Child:
    """One run of an engine."""

    run: int
    process: EngineProcess
    client: EngineClient
    adapters: Adapters = field(default_factory=Adapters)
    watch: asyncio.Task[None] | None = None


class Children:
    """All engine processes of a supervisor, and the tasks that look after them. Belongs to one event loop."""

    def __init__(
        self,
        planner: Planner,
        patience: Patience,
        post: Callable[[ev.Event], None],
        state: Callable[[str], EngineState | None],
    ) -> None:
        """``post`` brings an event to the loop; ``state`` looks up what the loop knows of an engine."""
        self.planner = planner
        self.patience = patience
        self._post = post
        self._state = state
        self._living: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def find(self, key: str, run: int | None = None) -> Child | None:
        """The process of an engine, if it lives; with ``run`` only if it is that very run."""
        child = self._living.get(key)
        return child if child is not None and run in {None, child.run} else None

    def plan(self, action: ev.Plan) -> None:
        """Ends in Planned, NoRoom or PlanRefused."""
        self._start(self._plan(action))

    def spawn(self, action: ev.Spawn) -> None:
        """Ends in Exited, after Spawned, Progressed, Listening, Unhealthy and Died as they come."""
        self._start(self._live(action))

    def warm(self, action: ev.Warm) -> None:
        """Ends in Warmed or Unhealthy."""
        self._start(self._warm(action))

    def sleep(self, action: ev.Sleep) -> None:
        """Ends in Slept or Unhealthy."""
        self._start(self._sleep(action))

    def wake(self, action: ev.Wake) -> None:
        """Ends in Warmed, NoRoom or Unhealthy."""
        self._start(self._wake(action))

    def stop(self, action: ev.Stop) -> None:
        """Makes the run's Exited come soon."""
        self._start(self._stop(action))

    async def suspect(self, key: str, child: Child) -> None:
        """A request found the engine gone: look now. A dying API server answers 503 for four seconds."""
        try:
            await child.client.get("/health")
        except EngineError:
            self._post(ev.Unhealthy(self._now(), key, child.run, DIED))

    async def close(self) -> None:
        """End what still lives, at once."""
        for child in tuple(self._living.values()):
            await child.process.stop(gentle=False)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _now(self) -> float:
        return self._loop.time()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The wide catch of the supervisor: a task of ours that breaks is a bug, and is told as one."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("supervision task failed", exc_info=error)

    async def _plan(self, action: ev.Plan) -> None:
        try:
            spec = await self.planner.spec(action.model, self._neighbours(action.key), action.attempt)
        except NoRoomYet as error:
            cause = Cause(error.error_code, error.detail, error.advice)
            self._post(ev.NoRoom(self._now(), action.key, action.run, error.missing, cause))
        except VllamaError as error:
            problems = error.problems if isinstance(error, ConfigError) else ()
            text = "; ".join((error.detail, *problems))
            cause = Cause(error.error_code, text, error.advice, permanent=True, status=error.http_status)
            self._post(ev.PlanRefused(self._now(), action.key, action.run, cause))
        else:
            self._post(ev.Planned(self._now(), action.key, action.run, spec))

    def _neighbours(self, key: str) -> tuple[Neighbour, ...]:
        """Every other engine that has a process."""
        return tuple(
            Neighbour(
                child.process.spec,
                child.process.pid,
                engine.model.pinned,
                asleep=engine.phase == "asleep",
                loading=engine.phase in LOADING,
            )
            for other, child in self._living.items()
            if other != key and (engine := self._state(other)) is not None
        )

    async def _live(self, action: ev.Spawn) -> None:
        """One run of an engine, from spawn to burial."""
        key, run, spec = action.key, action.run, action.spec
        process = EngineProcess(spec, lambda stage: self._post(ev.Progressed(self._now(), key, run, stage)))
        for note in spec.notes:
            _LOG.info("%s: %s", spec.name, note, extra={"model": spec.name})
        try:
            process.spawn()
        except LoadFailed as error:
            cause = Cause(error.error_code, error.detail, error.advice, permanent=True)
            self._post(ev.Exited(self._now(), key, run, cause))
            return
        child = Child(run, process, EngineClient(spec.socket))
        self._living[key] = child
        pid_file = spec.socket.with_suffix(".pid")
        remember(pid_file, process.pid)
        self._post(ev.Spawned(self._now(), key, run, process.pid))
        child.watch = self._loop.create_task(self._watch(key, child))
        try:
            await process.exited()
            self._post(ev.Died(self._now(), key, run))
            cause = await process.wait()
            if cause.memory:  # what it told before it failed makes the next plan better
                await self.planner.learn(spec, process.progress)
        finally:
            child.watch.cancel()
            if self._living.get(key) is child:
                del self._living[key]
            await child.client.close()
            pid_file.unlink(missing_ok=True)
        self._post(ev.Exited(self._now(), key, run, cause))

    async def _watch(self, key: str, child: Child) -> None:
        """Until it listens; ``_warm`` goes on from there."""
        cause = await until_listening(child.client, child.process, self.patience)
        if cause is None:
            self._post(ev.Listening(self._now(), key, child.run))
        else:
            self._post(ev.Unhealthy(self._now(), key, child.run, cause))

    async def _warm(self, action: ev.Warm) -> None:
        child = self.find(action.key, action.run)
        if child is None:
            return
        process = child.process
        try:
            spec = process.spec
            capacity = await first_answer(child.client, spec.task, spec.served_name, process.progress.kv_tokens)
        except EngineError as error:
            cause = Cause("smoke_test", f"the engine started but can't answer: {error.detail}", "see its log")
            self._post(ev.Unhealthy(self._now(), action.key, action.run, cause))
            return
        self._post(ev.Warmed(self._now(), action.key, action.run, capacity))
        self._start(self.planner.learn(process.spec, process.progress))
        child.watch = self._loop.create_task(self._guard(action.key, child))

    async def _sleep(self, action: ev.Sleep) -> None:
        child = self.find(action.key, action.run)
        if child is None:
            return
        if child.watch is not None:
            child.watch.cancel()  # it would ask for a token
        try:
            await child.client.call("/sleep?level=1", {}, timeout=_SLEEP_SECONDS)
        except EngineError as error:
            cause = Cause("sleep_failed", f"the engine can't sleep: {error.detail}", "set engine.sleep: false")
            self._post(ev.Unhealthy(self._now(), action.key, action.run, cause))
            return
        self._post(ev.Slept(self._now(), action.key, action.run))

    async def _wake(self, action: ev.Wake) -> None:
        child = self.find(action.key, action.run)
        if child is None:
            return
        try:
            await self.planner.room_to_wake(child.process.spec, self._neighbours(action.key))
            await child.client.call("/wake_up", {}, timeout=_SLEEP_SECONDS)
        except NoRoomYet as error:
            cause = Cause(error.error_code, error.detail, error.advice)
            self._post(ev.NoRoom(self._now(), action.key, action.run, error.missing, cause))
        except EngineError as error:
            cause = Cause("wake_failed", f"the engine does not wake up: {error.detail}", "set engine.sleep: false")
            self._post(ev.Unhealthy(self._now(), action.key, action.run, cause))
        else:
            await self._warm(ev.Warm(action.key, action.run))

    async def _guard(self, key: str, child: Child) -> None:
        """As long as it is ready."""

        def busy() -> bool:
            engine = self._state(key)
            return engine is not None and bool(engine.leases)

        cause = await until_unhealthy(child.client, child.process, self.patience, busy)
        self._post(ev.Unhealthy(self._now(), key, child.run, cause))

    async def _stop(self, action: ev.Stop) -> None:
        child = self.find(action.key, action.run)
        if child is None:
            return
        if child.watch is not None:
            child.watch.cancel()
        # vLLM does not exit while a client holds an unfinished answer open
        await child.client.close()
        await child.process.stop(gentle=action.gentle)

"""Carries out the actions of the state machine as tasks, and reports the results as events.

One task per run of an engine, from spawn until its processes are gone. Slow work (planning, health, the first answer)
runs in parallel with the loop, and its result is another event. A failed task is an event too: whatever it raises, the
engine's process is stopped and the next load may begin.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from vllama.engine.diagnose import Cause
from vllama.engine.spec import EngineSpec
from vllama.errors import Busy, ConfigError, EngineError, LoadFailed, NoRoomYet, VllamaError
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.child import Child, end
from vllama.supervisor.mishaps import mishap
from vllama.supervisor.plans import Planner
from vllama.supervisor.probes import DIED, Patience, first_answer, until_listening, until_unhealthy
from vllama.supervisor.spawner import Process, Spawner
from vllama.supervisor.states import LOADING, EngineState, State, tenants
from vllama.supervisor.tasks import Tasks, announce, outcome
from vllama.supervisor.tenants import Tenant

_LOG = logging.getLogger("vllama.supervisor")
_SLEEP_SECONDS = 120.0  # weights move over the bus: a few seconds even for the largest models
_LAST_SECONDS = 5.0  # until the processes of killed engines are gone
_STARTING: Final = "the engine can't be started"


class Children:
    """All engine processes of a supervisor, and the tasks that watch them. Belongs to one event loop."""

    def __init__(
        self,
        planner: Planner,
        patience: Patience,
        post: Callable[[ev.Event], None],
        state: Callable[[], State],
        spawner: Spawner,
    ) -> None:
        """``post`` brings an event to the loop; ``state`` is what the loop knows of all engines at the moment."""
        self.planner = planner
        self.patience = patience
        self._post = post
        self._state = state
        self._spawner = spawner
        self._living: dict[str, Child] = {}
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()

    def find(self, key: str, run: int | None = None) -> Child | None:
        """The process of an engine, if it lives; with ``run`` only if it is that very run."""
        child = self._living.get(key)
        return child if child is not None and run in {None, child.run} else None

    def plan(self, action: act.Plan) -> None:
        """Ends in Planned, NoRoom or PlanRefused."""

        def failed(error: Exception) -> None:
            self._post(ev.PlanRefused(self._now(), action.key, action.run, mishap(error, "it can't be planned")))

        self._tasks.start(self._plan(action), failed)

    def spawn(self, action: act.Spawn) -> None:
        """Ends in Exited, after Spawned, Progressed, Listening, Unhealthy and Died as they come."""

        def failed(error: Exception) -> None:
            self._post(ev.Exited(self._now(), action.key, action.run, mishap(error, _STARTING, outside=True)))

        self._tasks.start(self._live(action), failed)

    def warm(self, action: act.Warm) -> None:
        """Ends in Warmed or Unhealthy."""
        self._tasks.start(self._warm(action), self._unhealthy(action, _STARTING))

    def sleep(self, action: act.Sleep) -> None:
        """Ends in Slept or Unhealthy."""
        self._tasks.start(self._sleep(action), self._unhealthy(action, "the engine can't sleep"))

    def wake(self, action: act.Wake) -> None:
        """Ends in Warmed, NoRoom or Unhealthy."""
        self._tasks.start(self._wake(action), self._unhealthy(action, "the engine does not wake up"))

    def stop(self, action: act.Stop) -> None:
        """Makes the run's Exited come soon."""
        self._tasks.start(self._stop(action), _logged)

    async def suspect(self, key: str, child: Child) -> None:
        """A request found the engine gone: look now. A dying API server answers 503 for four seconds."""
        try:
            await child.client.get("/health")
        except Busy:
            return  # our own connections are used up, which says nothing about the engine
        except EngineError:
            self._post(ev.Unhealthy(self._now(), key, child.run, DIED))

    async def close(self) -> None:
        """End what still lives, at once."""
        await outcome(self._spawner.close())
        await asyncio.gather(*(end(child.process) for child in self._living.values()))
        await self._tasks.close(_LAST_SECONDS)

    def _engine(self, key: str) -> EngineState | None:
        return self._state().engines.get(key)

    def _now(self) -> float:
        return self._loop.time()

    def _idle(self) -> bool:
        """No engine loads, and none answers."""
        engines = [engine for key in self._living if (engine := self._engine(key)) is not None]
        return not any(engine.phase in LOADING or engine.leases for engine in engines)

    def _unhealthy(self, action: act.Warm | act.Sleep | act.Wake, doing: str) -> Callable[[Exception], None]:
        """What becomes of a run when a task that looks after it fails."""
        key, run = action.key, action.run
        return lambda error: self._post(ev.Unhealthy(self._now(), key, run, mishap(error, doing)))

    async def _plan(self, action: act.Plan) -> None:
        try:
            spec = await self._spec(action)
        except NoRoomYet as error:
            cause = Cause(error.error_code, error.detail, error.hint)
            self._post(ev.NoRoom(self._now(), action.key, action.run, error.missing, cause))
        except VllamaError as error:
            problems = error.problems if isinstance(error, ConfigError) else ()
            text = "; ".join((error.detail, *problems))
            cause = Cause(error.error_code, text, error.hint, permanent=True, status=error.http_status)
            self._post(ev.PlanRefused(self._now(), action.key, action.run, cause))
        else:
            self._post(ev.Planned(self._now(), action.key, action.run, spec))

    async def _spec(self, action: act.Plan) -> EngineSpec:
        """What the planner says, at last without the memory that was only taken ahead."""
        try:
            return await self.planner.spec(action.model, self._others(action.key), action.attempt)
        except (NoRoomYet, LoadFailed):
            if not await self._spawner.release():
                raise
        return await self.planner.spec(action.model, self._others(action.key), action.attempt)

    def _others(self, key: str) -> tuple[Tenant, ...]:
        return tuple(tenant for tenant in tenants(self._state()) if tenant.key != key)

    async def _live(self, action: act.Spawn) -> None:
        """One run of an engine, from spawn until its processes are gone, whatever fails in between."""
        key, run, spec = action.key, action.run, action.spec
        for note in spec.notes:
            _LOG.info("%s: %s", spec.name, note, extra={"model": spec.name})
        process = self._spawner.process(spec, lambda stage: self._post(ev.Progressed(self._now(), key, run, stage)))
        cause = await outcome(self._run(key, run, process))
        found = cause if isinstance(cause, Cause) else mishap(cause, _STARTING, outside=True)
        await self._buried(key, run, process)
        self._post(ev.Exited(self._now(), key, run, found))

    async def _run(self, key: str, run: int, process: Process) -> Cause:
        """The life of the process; why it ended."""
        spec = process.spec
        process.spawn()
        child = self._living[key] = Child(run, process, self._spawner.client(spec.socket))
        self._spawner.remember(spec, process.pid)
        self._post(ev.Spawned(self._now(), key, run, process.pid))
        child.watch = self._watched(self._watch(key, child), key, child)
        await process.exited()
        self._post(ev.Died(self._now(), key, run))
        cause = await process.wait()
        if cause.memory:  # what it reported before it failed makes the next plan better
            await outcome(self.planner.learn(spec, process.progress))
        elif (engine := self._engine(key)) is not None and engine.phase != "stopping":
            await outcome(self.planner.distrust(spec, process.progress))
        return cause

    async def _buried(self, key: str, run: int, process: Process) -> None:
        """Nothing of it is left: no process, no connection, no note of it."""
        await end(process)
        child = self.find(key, run)
        if child is None:
            return
        del self._living[key]
        if child.watch is not None:
            child.watch.cancel()
        await outcome(child.client.close())
        await outcome(self._forget(process.spec))

    async def _forget(self, spec: EngineSpec) -> None:
        self._spawner.forget(spec)

    def _watched(self, work: Coroutine[Any, Any, None], key: str, child: Child) -> asyncio.Task[None]:
        """A watch that fails stops its engine: nothing else would notice that it hangs."""
        return self._tasks.start(work, self._unhealthy(act.Warm(key, child.run), "the engine can't be watched"))

    async def _watch(self, key: str, child: Child) -> None:
        """Until it listens; ``_warm`` continues from there."""
        cause = await until_listening(child.client, child.process, self.patience)
        if cause is None:
            self._post(ev.Listening(self._now(), key, child.run))
        else:
            self._post(ev.Unhealthy(self._now(), key, child.run, cause))

    async def _warm(self, action: act.Warm, *, woken: bool = False) -> None:
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
        compilation = process.progress.compilation
        compilation.doing = ""  # whatever it dies of from now on
        capacity = replace(capacity, code_from=compilation.outcome, code_fault=compilation.fault)
        self._post(ev.Warmed(self._now(), action.key, action.run, capacity))
        if not woken:  # it says nothing new then
            self._tasks.start(self.planner.learn(process.spec, process.progress), _logged)
        announce(lambda: self._spawner.prepare(process.spec, self._idle))
        child.watch = self._watched(self._guard(action.key, child), action.key, child)

    async def _sleep(self, action: act.Sleep) -> None:
        child = self.find(action.key, action.run)
        if child is None:
            return
        if child.watch is not None:
            child.watch.cancel()  # it would ask for a token
        try:
            if child.process.spec.size_vram:
                await child.client.call("/sleep?level=1", {}, timeout=_SLEEP_SECONDS)
            else:
                await child.process.page_out(_SLEEP_SECONDS)
        except EngineError as error:
            cause = Cause("sleep_failed", f"the engine can't sleep: {error.detail}", "set engine.sleep: false")
            self._post(ev.Unhealthy(self._now(), action.key, action.run, cause))
            return
        self._post(ev.Slept(self._now(), action.key, action.run))

    async def _wake(self, action: act.Wake) -> None:
        child, engine = self.find(action.key, action.run), self._engine(action.key)
        if child is None or engine is None:
            return
        try:
            await self.planner.room_to_wake(engine.tenant, self._others(action.key))
            if child.process.spec.size_vram:  # else its first answer brings back what it needs
                await child.client.call("/wake_up", {}, timeout=_SLEEP_SECONDS)
        except NoRoomYet as error:
            cause = Cause(error.error_code, error.detail, error.hint)
            self._post(ev.NoRoom(self._now(), action.key, action.run, error.missing, cause))
        except EngineError as error:
            cause = Cause("wake_failed", f"the engine does not wake up: {error.detail}", "set engine.sleep: false")
            self._post(ev.Unhealthy(self._now(), action.key, action.run, cause))
        else:
            await self._warm(act.Warm(action.key, action.run), woken=True)

    async def _guard(self, key: str, child: Child) -> None:
        """As long as it is ready."""

        def busy() -> bool:
            engine = self._engine(key)
            return engine is not None and bool(engine.leases)

        cause = await until_unhealthy(child.client, child.process, self.patience, busy)
        self._post(ev.Unhealthy(self._now(), key, child.run, cause))

    async def _stop(self, action: act.Stop) -> None:
        child = self.find(action.key, action.run)
        if child is None:
            return
        if child.watch is not None:
            child.watch.cancel()
        # vLLM does not exit while a client holds an unfinished answer open
        await outcome(child.client.close())
        if await outcome(child.process.stop(gentle=action.gentle)) is not None:
            await end(child.process)


def _logged(_: Exception) -> None:
    """No request waits for it, and the log has it."""

"""The one owner of every engine: takes events, asks ``step`` what they mean, carries out the actions.

An event is handled at once, inside the call that brings it; slow work runs as a task and comes back as one more
event. So nobody else reads a state to decide a change, and a request on a ready engine costs no trip through a queue.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from vllama.engine.client import EngineClient
from vllama.engine.diagnose import Cause
from vllama.engine.process import EngineProcess, remember
from vllama.engine.progress import Progress
from vllama.engine.spec import EngineSpec
from vllama.errors import (
    Busy,
    ConfigError,
    EngineError,
    EngineGone,
    EngineNotInstalled,
    LoadFailed,
    NoRoomYet,
    VllamaError,
)
from vllama.models.model import Model
from vllama.supervisor import events as ev
from vllama.supervisor.adapters import Adapters
from vllama.supervisor.neighbours import Neighbour
from vllama.supervisor.policy import Policy
from vllama.supervisor.port import EngineView, Lease
from vllama.supervisor.probes import DIED, Patience, first_answer, until_listening, until_unhealthy
from vllama.supervisor.states import EngineState, Phase, State, next_deadline
from vllama.supervisor.step import step

_LOG = logging.getLogger("vllama.supervisor")
_CLOSE_MARGIN = 45.0  # SIGTERM's deadline, SIGKILL and the burial after the drain time


class Planner(Protocol):
    """Works out how to start engines (``planner.Planner``)."""

    async def spec(self, model: Model, neighbours: Sequence[Neighbour], attempt: int) -> EngineSpec:
        """How to start ``model`` beside its neighbours; each ``attempt`` takes less memory than the one before.

        Raises NoRoomYet when engines must make room first, another VllamaError when it can't be started at all.
        """
        ...

    async def learn(self, spec: EngineSpec, progress: Progress) -> None:
        """The engine of ``spec`` told this about its memory."""
        ...


@dataclass(slots=True)
class _Child:
    """The living side of one run of an engine."""

    run: int
    process: EngineProcess
    client: EngineClient
    adapters: Adapters = field(default_factory=Adapters)
    watch: asyncio.Task[None] | None = None


class Supervisor:
    """Implements ``port.Engines``. Make it inside a running event loop; ``close`` ends all engines."""

    def __init__(
        self,
        planner: Planner,
        policy: Policy,
        patience: Patience,
        on_change: Callable[[EngineView], None] = lambda _: None,
    ) -> None:
        self._planner = planner
        self._patience = patience
        self._on_change = on_change
        self._state = State(policy)
        self._inbox: deque[ev.Event] = deque()
        self._turning = False
        self._tickets = itertools.count(1)
        self._asking: dict[int, asyncio.Future[tuple[str, int]]] = {}
        self._children: dict[str, _Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    # ------------------------------------------------------------------------- what others may ask (port.Engines)

    @asynccontextmanager
    async def lease(self, model: Model, *, keep_alive: float | None = None) -> AsyncIterator[Lease]:
        """See ``port.Engines.lease``."""
        ticket = next(self._tickets)
        answer: asyncio.Future[tuple[str, int]] = self._loop.create_future()
        self._asking[ticket] = answer
        try:
            self.post(ev.LeaseWanted(self.now(), ticket, model, keep_alive))
            cold = not answer.done()
            key, run = await answer
            child = self._children.get(key)
            if child is None or child.run != run:  # it died between the grant and our turn
                raise LoadFailed("the engine stopped before it could answer; try again")
            limit = self._state.engines[key].capacity.max_model_len
            suspect = partial(self._suspect, key, child)
            try:
                name = child.process.spec.served_name
                if model.adapter is not None:
                    name = await child.adapters.load(child.client, model.adapter)
                yield Lease(child.client, name, limit, cold, suspect)
            except EngineGone:
                await suspect()
                raise
        finally:
            # One event for all ways out: never granted, granted a moment ago, used.
            self._asking.pop(ticket, None)
            self.post(ev.LeaseReturned(self.now(), ticket, model.engine_key))

    def snapshot(self) -> tuple[EngineView, ...]:
        """See ``port.Engines.snapshot``."""
        shift = time.time() - self.now()
        engines = self._state.engines.values()
        return tuple(_view(e, shift) for e in engines if e.phase != "absent" or e.waiters or e.wanted)

    async def unload(self, model: Model) -> None:
        """See ``port.Engines.unload``."""
        self.post(ev.UnloadWanted(self.now(), model.engine_key))

    # ----------------------------------------------------------------------------------------- for the daemon

    def clients(self) -> dict[str, EngineClient]:
        """Clients of the engines that are ready, by model name (for the metrics scrape)."""
        ready = (e for e in self._state.engines.values() if e.phase == "ready" and e.key in self._children)
        return {e.model.name.short: self._children[e.key].client for e in ready}

    def reconfigure(self, planner: Planner, policy: Policy, patience: Patience) -> None:
        """Plan, decide and watch by these from now on; running engines stay as they are until ``renew``."""
        self._planner = planner
        self._patience = patience
        self.post(ev.PolicyChanged(self.now(), policy))

    def renew(self, model: Model) -> None:
        """End the engine of ``model`` after its answers; who waits, and who comes next, gets one planned anew."""
        self.post(ev.Reconfigured(self.now(), model))

    def turn(self) -> None:
        """Let time pass; a supervisor that can do this is alive (the watchdog's beat)."""
        self.post(ev.Ticked(self.now()))

    async def close(self) -> None:
        """Refuse new requests, let running ones finish up to the drain time, end every engine, see them gone."""
        self.post(ev.Closing(self.now()))
        self._note_empty()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._state.policy.drain + _CLOSE_MARGIN):
                await self._empty.wait()
        if self._timer is not None:
            self._timer.cancel()
        for child in tuple(self._children.values()):
            await child.process.stop(gentle=False)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    # ---------------------------------------------------------------------------------------------- the inbox

    def post(self, event: ev.Event) -> None:
        """Handle an event and all that follow from it, in order."""
        self._inbox.append(event)
        if self._turning:
            return
        self._turning = True
        try:
            while self._inbox:
                self._handle(self._inbox.popleft())
        finally:
            self._turning = False
        self._set_timer()

    def _handle(self, event: ev.Event) -> None:
        before = self._state.engines
        self._state, actions = step(self._state, event)
        for action in actions:
            self._act(action)
        for key, engine in self._state.engines.items():
            old = before.get(key)
            if old is not engine and (old is None or (old.phase, old.stage) != (engine.phase, engine.stage)):
                self._changed(old.phase if old else "absent", engine)

    def _changed(self, old: Phase, engine: EngineState) -> None:
        if old != engine.phase:
            _LOG.debug("%s: %s -> %s", engine.model.name.short, old, engine.phase)
        if engine.phase in {"backoff", "broken"} and old != engine.phase and engine.cause is not None:
            name = engine.model.name.short
            _LOG.error("%s: %s", name, engine.cause.sentence, extra={"model": name})
        self._on_change(_view(engine, time.time() - self.now()))
        self._note_empty()

    def _note_empty(self) -> None:
        if self._state.closing and all(e.phase in {"absent", "broken"} for e in self._state.engines.values()):
            self._empty.set()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = next_deadline(self._state)
        if due is not None:
            self._timer = self._loop.call_at(due, self.turn)

    # ---------------------------------------------------------------------------------------------- the effects

    def _act(self, action: ev.Action) -> None:
        match action:
            case ev.Grant():
                self._answer(action.ticket, (action.key, action.run))
            case ev.Refuse():
                self._answer(action.ticket, _as_error(action.cause))
            case ev.Plan():
                self._start(self._plan(action))
            case ev.Spawn():
                self._start(self._live(action))
            case ev.Warm():
                self._start(self._warm(action))
            case ev.Stop():
                self._start(self._stop(action))

    def _answer(self, ticket: int, answer: tuple[str, int] | VllamaError) -> None:
        future = self._asking.get(ticket)
        if future is None or future.done():
            return  # the client has gone; its LeaseReturned is on the way
        if isinstance(answer, VllamaError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The wide catch of the loop: a task of ours that breaks is a bug, and is told as one."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("supervision task failed", exc_info=error)

    async def _plan(self, action: ev.Plan) -> None:
        try:
            spec = await self._planner.spec(action.model, self._neighbours(action.key), action.attempt)
        except NoRoomYet as error:
            cause = Cause(error.error_code, error.message, error.hint)
            self.post(ev.NoRoom(self.now(), action.key, action.run, error.missing, cause))
        except VllamaError as error:
            problems = error.problems if isinstance(error, ConfigError) else ()
            text = "; ".join((error.message, *problems))
            cause = Cause(error.error_code, text, error.hint, permanent=True, status=error.http_status)
            self.post(ev.PlanRefused(self.now(), action.key, action.run, cause))
        else:
            self.post(ev.Planned(self.now(), action.key, action.run, spec))

    def _neighbours(self, key: str) -> tuple[Neighbour, ...]:
        """Every other engine that has a process."""
        return tuple(
            Neighbour(child.process.spec, child.process.pid, self._state.engines[other].model.pinned)
            for other, child in self._children.items()
            if other != key
        )

    async def _live(self, action: ev.Spawn) -> None:
        """One run of an engine, from spawn to burial."""
        key, run, spec = action.key, action.run, action.spec
        process = EngineProcess(spec, lambda stage: self.post(ev.Progressed(self.now(), key, run, stage)))
        for note in spec.notes:
            _LOG.info("%s: %s", spec.name, note, extra={"model": spec.name})
        try:
            process.spawn()
        except LoadFailed as error:
            cause = Cause(error.error_code, error.message, error.hint, permanent=True)
            self.post(ev.Exited(self.now(), key, run, cause))
            return
        child = _Child(run, process, EngineClient(spec.socket))
        self._children[key] = child
        pid_file = spec.socket.with_suffix(".pid")
        remember(pid_file, process.pid)
        self.post(ev.Spawned(self.now(), key, run, process.pid))
        child.watch = self._loop.create_task(self._watch(key, child))
        try:
            await process.exited()
            self.post(ev.Died(self.now(), key, run))
            cause = await process.wait()
            if cause.memory:  # what it told before it failed makes the next plan better
                await self._planner.learn(spec, process.progress)
        finally:
            child.watch.cancel()
            if self._children.get(key) is child:
                del self._children[key]
            await child.client.close()
            pid_file.unlink(missing_ok=True)
        self.post(ev.Exited(self.now(), key, run, cause))

    async def _watch(self, key: str, child: _Child) -> None:
        """Until it listens; ``_warm`` goes on from there."""
        cause = await until_listening(child.client, child.process, self._patience)
        if cause is None:
            self.post(ev.Listening(self.now(), key, child.run))
        else:
            self.post(ev.Unhealthy(self.now(), key, child.run, cause))

    async def _warm(self, action: ev.Warm) -> None:
        child = self._children.get(action.key)
        if child is None or child.run != action.run:
            return
        process = child.process
        try:
            spec = process.spec
            capacity = await first_answer(child.client, spec.task, spec.served_name, process.progress.kv_tokens)
        except EngineError as error:
            cause = Cause("smoke_test", f"the engine started but can't answer: {error.message}", "see its log")
            self.post(ev.Unhealthy(self.now(), action.key, action.run, cause))
            return
        self.post(ev.Warmed(self.now(), action.key, action.run, capacity))
        self._start(self._planner.learn(process.spec, process.progress))
        child.watch = self._loop.create_task(self._guard(action.key, child))

    async def _guard(self, key: str, child: _Child) -> None:
        """As long as it is ready."""

        def busy() -> bool:
            engine = self._state.engines.get(key)
            return engine is not None and bool(engine.leases)

        cause = await until_unhealthy(child.client, child.process, self._patience, busy)
        self.post(ev.Unhealthy(self.now(), key, child.run, cause))

    async def _suspect(self, key: str, child: _Child) -> None:
        """A request found the engine gone: look now. A dying API server answers 503 for four seconds."""
        try:
            await child.client.get("/health")
        except EngineError:
            self.post(ev.Unhealthy(self.now(), key, child.run, DIED))

    async def _stop(self, action: ev.Stop) -> None:
        child = self._children.get(action.key)
        if child is None or child.run != action.run:
            return
        if child.watch is not None:
            child.watch.cancel()
        # vLLM does not exit while a client holds an unfinished answer open
        await child.client.close()
        await child.process.stop(gentle=action.gentle)


def _as_error(cause: Cause) -> VllamaError:
    """What a waiting client is told."""
    if cause.code == EngineNotInstalled.code:
        return EngineNotInstalled(cause.text, hint=cause.hint)
    if cause.status == Busy.status:
        return Busy(cause.text, hint=cause.hint)
    return LoadFailed(cause.text, hint=cause.hint, status=cause.status, code=cause.code)


def _view(engine: EngineState, shift: float) -> EngineView:
    spec = engine.spec
    return EngineView(
        model=engine.model,
        phase=engine.phase,
        stage=engine.stage,
        since=engine.since + shift,
        expires_at=None if engine.expires_at is None else engine.expires_at + shift,
        leases=len(engine.leases),
        waiting=len(engine.waiters),
        size=spec.size if spec else 0,
        size_vram=spec.size_vram if spec else 0,
        context_length=engine.capacity.max_model_len,
        kv_tokens=engine.capacity.kv_tokens,
        pid=engine.pid,
        restarts=engine.restarts,
        cause=engine.cause.sentence if engine.cause else "",
    )

"""The one owner of the engines' state: takes events, passes them to ``step``, and starts the actions.

An event is handled at once, inside the call that brings it. Slow work runs as a task, and its result is another event.
So no other code decides from a state that may be outdated, and a request on a ready engine waits in no queue.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from vllama.engine.client import Client
from vllama.engine.diagnose import Cause
from vllama.errors import Busy, EngineGone, EngineNotInstalled, LoadFailed, VllamaError
from vllama.models.model import Model
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.child import Child
from vllama.supervisor.children import Children
from vllama.supervisor.compilation import compilation_due
from vllama.supervisor.compiler import Compiler
from vllama.supervisor.orders import CLOSING
from vllama.supervisor.plans import Planner
from vllama.supervisor.policy import Policy
from vllama.supervisor.port import EngineView, Lease, Wish
from vllama.supervisor.probes import Patience
from vllama.supervisor.spawner import LocalSpawner, Spawner
from vllama.supervisor.states import LOADING, EngineState, Phase, State, next_deadline, tenants
from vllama.supervisor.step import step
from vllama.supervisor.tasks import announce
from vllama.supervisor.view import view_of

_LOG = logging.getLogger("vllama.supervisor")
_CLOSE_MARGIN = 45.0  # after the drain time: SIGTERM's deadline, SIGKILL, and until the processes are gone


class Supervisor:
    """Implements ``port.Engines``. Make it inside a running event loop; ``close`` stops all engines."""

    def __init__(
        self,
        planner: Planner,
        policy: Policy,
        patience: Patience,
        on_change: Callable[[EngineView], None] = lambda _: None,
        spawner: Spawner | None = None,
    ) -> None:
        """``spawner``: where engines' processes come from, this machine if not given."""
        self._on_change = on_change
        self._state = State(policy)
        self._inbox: deque[ev.Event] = deque()
        self._turning = False
        self._tickets = itertools.count(1)
        self._asking: dict[int, asyncio.Future[tuple[str, int]]] = {}
        spawner = spawner or LocalSpawner()
        self._children = children = Children(planner, patience, self.post, lambda: self._state, spawner)
        self._compiler = Compiler(
            lambda: children.planner, lambda: children.patience, lambda: tenants(self._state), self.post, spawner
        )
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._began: dict[str, float] = {}
        """When each engine that is being loaded began to be."""
        self._loop = asyncio.get_running_loop()

    # ------------------------------------------------------------------------- what others may ask (port.Engines)

    @asynccontextmanager
    async def lease(self, wish: Wish) -> AsyncIterator[Lease]:
        """See ``port.Engines.lease``."""
        model, ticket = wish.model, next(self._tickets)
        answer: asyncio.Future[tuple[str, int]] = self._loop.create_future()
        self._asking[ticket] = answer
        try:
            self.post(ev.LeaseWanted(self.now(), ticket, model, wish.keep_alive))
            cold = not answer.done()
            key, run = await answer
            child = self._children.find(key, run)
            if child is None:  # it died between the grant and our turn
                raise EngineGone("the engine stopped before it could answer; try again")
            limit = self._state.engines[key].capacity.max_model_len
            suspect = partial(self._suspect, key, child)
            try:
                name = child.process.spec.served_name
                if model.adapter is not None:
                    name = await child.adapters.load(child.client, model.adapter)
                shapes = await child.template.shapes(child.client, child.process.spec.served_name, model)
                yield Lease(child.client, name, limit, cold, suspect, shapes)
            except EngineGone:
                await suspect()
                raise
        finally:
            # All three exits post the same event: not granted, granted but unused, used.
            self._asking.pop(ticket, None)
            self.post(ev.LeaseReturned(self.now(), ticket, model.engine_key))

    def snapshot(self) -> tuple[EngineView, ...]:
        """See ``port.Engines.snapshot``."""
        shift = time.time() - self.now()
        engines = self._state.engines.values()
        running = self._state.compilation
        return tuple(
            view_of(e, shift, running)
            for e in engines
            if e.phase != "absent" or e.waiters or e.wanted or (running is not None and running.key == e.key)
        )

    async def unload(self, model: Model) -> None:
        """See ``port.Engines.unload``."""
        self.post(ev.UnloadWanted(self.now(), model.engine_key))

    async def _suspect(self, key: str, child: Child) -> None:
        """See ``Lease.suspect``."""
        await self._children.suspect(key, child)
        if self._state.closing:  # no failure: we ended it
            raise _as_error(CLOSING)

    # ----------------------------------------------------------------------------------------- for the daemon

    def clients(self) -> dict[str, Client]:
        """Clients of the engines that are ready, by model name (for the metrics scrape)."""
        ready = ((e, self._children.find(e.key)) for e in self._state.engines.values() if e.phase == "ready")
        return {engine.model.name.short: child.client for engine, child in ready if child is not None}

    def reconfigure(self, planner: Planner, policy: Policy, patience: Patience) -> None:
        """Plan, decide and watch by these from now on; running engines stay as they are until ``renew``."""
        self._children.planner = planner
        self._children.patience = patience
        self.post(ev.PolicyChanged(self.now(), policy))

    def renew(self, model: Model) -> None:
        """Stop the engine of ``model`` after its answers; waiting and later requests get one with a new plan."""
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
        await self._compiler.close()
        await self._children.close()

    def hurry(self) -> None:
        """Cut off running answers and kill every engine. ``close`` returns soon after."""
        self.post(ev.Closing(self.now()))

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
        before, compiled = self._state.engines, self._state.compilation
        self._state, actions = step(self._state, event)
        for action in actions:
            self._act(action)
        for key, engine in self._state.engines.items():
            old = before.get(key)
            if old is not engine and (old is None or (old.phase, old.stage) != (engine.phase, engine.stage)):
                self._changed(old.phase if old else "absent", engine)
        if compiled is not None and self._state.compilation is None:
            self._note_empty()

    def _changed(self, old: Phase, engine: EngineState) -> None:
        if old != engine.phase:
            self._log(old, engine)
        announce(lambda: self._on_change(view_of(engine, time.time() - self.now(), self._state.compilation)))
        self._note_empty()

    def _log(self, old: Phase, engine: EngineState) -> None:
        """What the log says of an engine's life."""
        name = engine.model.name.short
        about = {"model": name}
        match engine.phase:
            case "planning" | "waking" if old not in LOADING:
                self._began[engine.key] = engine.since
                _LOG.info("%s: loading", name, extra=about)
            case "ready":
                took = engine.since - self._began.pop(engine.key, engine.since)
                _LOG.info("%s: ready after %.1f s", name, took, extra=about)
            case "dozing" | "stopping":
                _LOG.info("%s: %s", name, engine.stage, extra=about)
            case "backoff" | "broken" if engine.cause is not None:
                _LOG.error("%s: %s", name, engine.cause.sentence, extra=about)
            case _:
                _LOG.debug("%s: %s -> %s", name, old, engine.phase)

    def _note_empty(self) -> None:
        idle = self._state.compilation is None
        if self._state.closing and idle and all(e.phase in {"absent", "broken"} for e in self._state.engines.values()):
            self._empty.set()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = (next_deadline(self._state), compilation_due(self._state))
        due = min((at for at in times if at is not None), default=None)
        if due is not None:
            self._timer = self._loop.call_at(due, self.turn)

    # ---------------------------------------------------------------------------------------------- the actions

    def _act(self, action: act.Action) -> None:
        match action:
            case act.Grant():
                self._answer(action.ticket, (action.key, action.run))
            case act.Refuse():
                self._answer(action.ticket, _as_error(action.cause))
            case act.Plan():
                self._children.plan(action)
            case act.Spawn():
                self._children.spawn(action)
            case act.Warm():
                self._children.warm(action)
            case act.Sleep():
                self._children.sleep(action)
            case act.Wake():
                self._children.wake(action)
            case act.Stop():
                self._children.stop(action)
            case act.Compile():
                self._compiler.start(action)
            case act.PauseCompilation():
                self._compiler.pause(paused=action.paused)
            case act.EndCompilation():
                self._compiler.end()

    def _answer(self, ticket: int, answer: tuple[str, int] | VllamaError) -> None:
        future = self._asking.get(ticket)
        if future is None or future.done():
            return  # the client has gone; its LeaseReturned is on the way
        if isinstance(answer, VllamaError):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _as_error(cause: Cause) -> VllamaError:
    """The error that a waiting client gets."""
    if cause.code == EngineNotInstalled.code:
        return EngineNotInstalled(cause.text, hint=cause.hint)
    if cause.status == Busy.status:
        return Busy(cause.text, hint=cause.hint)
    return LoadFailed(cause.text, hint=cause.hint, status=cause.status, code=cause.code)

"""The life of every engine as one pure function: ``step(state, event) -> (state, actions)``.

``absent → planning → starting → warming → ready → stopping → absent``; a crash leads through ``backoff`` to the
next start, or to ``broken`` when it can't succeed or the breaker opens; ``failing`` is an engine that died or hangs
and is being buried; ``draining`` one whose last answers are finished at shutdown.

Invariants (tests/unit/supervisor/test_step.py runs long random histories over them): every waiter is answered
exactly once; a lease counts until it is returned; nothing is stopped while leased, save by a hang or a shutdown's
deadline; at most one engine is being loaded at a time.
"""

from __future__ import annotations

from dataclasses import replace

from vllama.engine.diagnose import Cause
from vllama.supervisor.events import (
    Action,
    Closing,
    Died,
    Event,
    Exited,
    Grant,
    LeaseReturned,
    LeaseWanted,
    Listening,
    NoRoom,
    Plan,
    Planned,
    PlanRefused,
    PolicyChanged,
    Progressed,
    Reconfigured,
    Refuse,
    Spawn,
    Spawned,
    Stop,
    Ticked,
    Unhealthy,
    UnloadWanted,
    Warm,
    Warmed,
)
from vllama.supervisor.policy import backoff_delay, breaker_open, choose_victims, recent
from vllama.supervisor.states import LOADING, Capacity, EngineState, Phase, State, Waiter, residents, waiting

BUSY = Cause("busy", "server busy, please try again.  maximum pending requests exceeded", status=503)
NO_ROOM = Cause("no_room", "there is not enough memory for this model beside the ones that are loaded")
TOO_MANY = Cause("no_room", "as many models are loaded as may be, and none of them may be evicted")
CLOSING = Cause("closing", "the server is shutting down", status=503)


def step(state: State, event: Event) -> tuple[State, list[Action]]:
    """What the world looks like after ``event``, and what is to be done about it."""
    actions: list[Action] = []
    match event:
        case LeaseWanted():
            state = _lease_wanted(state, event, actions)
        case LeaseReturned():
            state = _lease_returned(state, event, actions)
        case UnloadWanted():
            state = _unload_wanted(state, event, actions)
        case Reconfigured():
            state = _reconfigured(state, event, actions)
        case PolicyChanged():
            state = replace(state, policy=event.policy)
        case Ticked():
            state = _ticked(state, event.now, actions)
        case Closing():
            state = _closing(state, event.now, actions)
        case _:
            engine = state.engines.get(event.key)
            if engine is None or engine.run != event.run:
                return state, []
            state = _lived(state, engine, event, actions)
    return _start_next(state, event.now, actions), actions


def _put(state: State, engine: EngineState) -> State:
    return replace(state, engines={**state.engines, engine.key: engine})


def _phase(engine: EngineState, phase: Phase, now: float, stage: str = "") -> EngineState:
    return replace(engine, phase=phase, since=now, stage=stage)


def _enqueue(state: State, engine: EngineState, now: float) -> State:
    """It waits for its turn to load."""
    state = _put(state, _phase(engine, "absent", now, "waiting to load"))
    return state if engine.key in state.queue else replace(state, queue=(*state.queue, engine.key))


# ------------------------------------------------------------------------------------- requests come and go


def _lease_wanted(state: State, event: LeaseWanted, actions: list[Action]) -> State:
    engine = state.engines.get(event.model.engine_key) or EngineState(event.model)
    if state.closing:
        actions.append(Refuse(event.ticket, CLOSING))
        return state
    if engine.phase == "ready" and not engine.yielding and not engine.outdated:
        actions.append(Grant(event.ticket, engine.key, engine.run))
        keep = engine.keep_alive if event.keep_alive is None else event.keep_alive
        return _put(state, replace(engine, leases=engine.leases | {event.ticket}, keep_alive=keep))
    if engine.phase == "broken" and engine.cause is not None:
        same_files = engine.model.digest == event.model.digest
        if same_files and event.now < engine.retry_at:
            actions.append(Refuse(event.ticket, engine.cause))
            return state
        # The cool-off is over or the model's files changed: one more try, on probation in the first case.
        probation = engine.crashes[1 - state.policy.breaker_crashes :] if state.policy.breaker_crashes > 1 else ()
        engine = replace(_phase(engine, "absent", event.now), crashes=probation if same_files else (), failed_starts=0)
    if waiting(state) >= state.policy.max_waiting:
        actions.append(Refuse(event.ticket, BUSY))
        return state
    engine = replace(engine, waiters=(*engine.waiters, Waiter(event.ticket, event.keep_alive)), unload=False)
    if engine.phase != "absent":
        return _put(state, engine)
    return _enqueue(state, replace(engine, model=event.model), event.now)


def _lease_returned(state: State, event: LeaseReturned, actions: list[Action]) -> State:
    engine = state.engines.get(event.key)
    if engine is None:
        return state
    if event.ticket not in engine.leases:
        engine = replace(engine, waiters=tuple(w for w in engine.waiters if w.ticket != event.ticket))
        state = _put(state, engine)
        if engine.phase == "absent" and not engine.waiters and not engine.wanted:
            # Its load has not begun and nobody wants it any more. One that has begun is finished: who gave up
            # usually asks again.
            return replace(
                _put(state, replace(engine, stage="")), queue=tuple(k for k in state.queue if k != event.key)
            )
        return state
    engine = replace(engine, leases=engine.leases - {event.ticket})
    if not engine.leases and engine.phase == "ready":
        return _put(state, _rest(replace(engine, used_at=event.now), event.now, actions))
    if not engine.leases and engine.phase == "draining":
        return _put(state, _stop(engine, event.now, actions, gentle=True))
    return _put(state, engine)


def _rest(engine: EngineState, now: float, actions: list[Action]) -> EngineState:
    """The last lease of a ready engine has ended: its timer starts, or it goes."""
    if engine.keep_alive <= 0 or engine.yielding or engine.outdated:
        return _stop(engine, now, actions, gentle=True)
    return replace(engine, expires_at=now + engine.keep_alive)


def _unload_wanted(state: State, event: UnloadWanted, actions: list[Action]) -> State:
    engine = state.engines.get(event.key)
    if engine is None:
        return state
    match engine.phase:
        case "ready" if engine.leases:
            return _put(state, replace(engine, keep_alive=0.0, expires_at=event.now))
        case "ready":
            return _put(state, _stop(engine, event.now, actions, gentle=True))
        case "planning" if not engine.waiters:
            return _put(state, replace(_phase(engine, "absent", event.now), run=engine.run + 1, wanted=False))
        case "starting" | "warming" if not engine.waiters:
            # vLLM swallows SIGTERM while it starts: kill
            return _put(state, _stop(engine, event.now, actions, gentle=False))
        case "backoff" if not engine.waiters:
            return _put(state, replace(_phase(engine, "absent", event.now), wanted=False))
        case "absent" | "planning" | "starting" | "warming" | "backoff" if engine.waiters:
            return _put(state, replace(engine, unload=True))
        case _:
            return state


def _reconfigured(state: State, event: Reconfigured, actions: list[Action]) -> State:
    engine = state.engines.get(event.model.engine_key)
    if engine is None:
        return state
    engine = replace(engine, model=event.model)
    match engine.phase:
        case "ready" if engine.leases:
            stage = "finishing its answers, then starting as configured now"
            return _put(state, replace(engine, outdated=True, stage=stage))
        case "ready":
            return _put(state, _stop(engine, event.now, actions, gentle=True))
        case "starting" | "warming":
            return _put(state, _stop(engine, event.now, actions, gentle=False))
        case "planning" | "backoff" | "broken":
            # What was wrong may be right now: who waits, and an engine that was ready before, gets a fresh start.
            again = bool(engine.waiters) or engine.wanted
            fresh = replace(engine, run=engine.run + 1, crashes=(), failed_starts=0, cause=None, missing=0)
            fresh = _phase(fresh, "absent", event.now)
            return _enqueue(state, fresh, event.now) if again else _put(state, fresh)
        case _:
            return _put(state, engine)


# ------------------------------------------------------------------------------------------ time and the end


def _ticked(state: State, now: float, actions: list[Action]) -> State:
    for engine in tuple(state.engines.values()):
        match engine.phase:
            case "backoff" if now >= engine.retry_at:
                state = _enqueue(state, engine, now)
            case "ready" if not engine.leases and engine.expires_at is not None and now >= engine.expires_at:
                state = _put(state, _stop(engine, now, actions, gentle=True))
            case "draining" if now >= engine.retry_at:
                state = _put(state, _stop(engine, now, actions, gentle=True))
            case _:
                pass
    return state


def _closing(state: State, now: float, actions: list[Action]) -> State:
    state = replace(state, closing=True, queue=())
    for engine in tuple(state.engines.values()):
        actions += [Refuse(w.ticket, CLOSING) for w in engine.waiters]
        state = _put(state, _closed(replace(engine, waiters=(), wanted=False), now, state.policy.drain, actions))
    return state


def _closed(engine: EngineState, now: float, drain: float, actions: list[Action]) -> EngineState:
    match engine.phase:
        case "ready" if engine.leases:
            return replace(_phase(engine, "draining", now, "finishing its answers"), retry_at=now + drain)
        case "ready":
            return _stop(engine, now, actions, gentle=True)
        case "starting" | "warming":
            return _stop(engine, now, actions, gentle=False)
        case "planning" | "backoff" | "absent":
            return replace(_phase(engine, "absent", now), run=engine.run + 1)
        case _:
            return engine


def _stop(engine: EngineState, now: float, actions: list[Action], *, gentle: bool) -> EngineState:
    actions.append(Stop(engine.key, engine.run, gentle))
    stopping = _phase(engine, "stopping", now, "stopping")
    return replace(stopping, wanted=False, yielding=False, outdated=False, expires_at=now)


# ------------------------------------------------------------------------------------------------ who loads next


def _start_next(state: State, now: float, actions: list[Action]) -> State:
    """Loads happen one at a time: a second engine must see what memory the first has left."""
    if state.closing or any(e.phase in LOADING for e in state.engines.values()):
        return state
    if state.queue and state.engines[state.queue[0]].missing:
        return _make_room(state, state.engines[state.queue[0]], now, actions)
    state = _nobody_needs_room(state, now, actions)
    if not state.queue:
        return state
    engine = state.engines[state.queue[0]]
    if _too_many(state):
        engine = replace(engine, missing=1, cause=TOO_MANY)
        return _make_room(_put(state, engine), engine, now, actions)
    engine = replace(_phase(engine, "planning", now, "planning"), run=engine.run + 1, pid=None, expires_at=None)
    actions.append(Plan(engine.key, engine.run, engine.model))
    return replace(_put(state, engine), queue=state.queue[1:])


# ------------------------------------------------------------------------------------------------- making room


def _too_many(state: State) -> bool:
    """One more engine would be more than the configuration allows."""
    limit = state.policy.max_loaded
    alive = {"ready", "draining", "failing", "stopping"}
    return limit is not None and sum(e.phase in alive for e in state.engines.values()) >= limit


def _make_room(state: State, engine: EngineState, now: float, actions: list[Action]) -> State:
    """The head of the queue needs memory that others have: idle ones go, busy ones yield, young ones are waited for."""
    if any(e.phase in {"stopping", "failing", "draining"} or e.yielding for e in state.engines.values()):
        return state  # something is on its way out; then the machine is looked at afresh
    candidates = residents(state, now)
    if sum(r.size for r in candidates) < engine.missing:
        state = replace(state, queue=state.queue[1:])
        cause = engine.cause or NO_ROOM
        state = _put(state, _give_up(replace(engine, missing=0), cause, now, actions, phase="absent"))
        return _start_next(state, now, actions)
    for key in choose_victims(candidates, engine.missing, now, state.policy.min_residence):
        victim = state.engines[key]
        if victim.leases:
            state = _put(state, replace(victim, yielding=True, stage="finishing its answers, then making room"))
        else:
            state = _put(state, _stop(victim, now, actions, gentle=True))
    return state


def _nobody_needs_room(state: State, now: float, actions: list[Action]) -> State:
    """Engines that were asked to yield for one that is no longer wanted go on."""
    for engine in tuple(state.engines.values()):
        if engine.yielding and engine.phase == "ready" and not engine.outdated:
            actions += [Grant(w.ticket, engine.key, engine.run) for w in engine.waiters]
            leases = engine.leases | {w.ticket for w in engine.waiters}
            engine_now = replace(engine, yielding=False, stage="", leases=leases, waiters=())
            state = _put(state, engine_now if leases else _rest(engine_now, now, actions))
    return state


def _room_changed(state: State) -> State:
    """An engine has gone: who waits for room is planned again."""
    if not state.queue or not state.engines[state.queue[0]].missing:
        return state
    return _put(state, replace(state.engines[state.queue[0]], missing=0))


# ------------------------------------------------------------------------------------------- an engine's life


def _lived(
    state: State,
    engine: EngineState,
    event: Planned | PlanRefused | NoRoom | Spawned | Progressed | Listening | Warmed | Unhealthy | Died | Exited,
    actions: list[Action],
) -> State:
    """An event in the life of the engine's present run."""
    now = event.now
    match event:
        case Planned() if engine.phase == "planning":
            actions.append(Spawn(engine.key, engine.run, event.spec))
            engine = replace(_phase(engine, "starting", now, "engine is starting"), spec=event.spec)
        case PlanRefused() if engine.phase == "planning":
            engine = _give_up(engine, event.cause, now, actions, phase="absent")
        case NoRoom() if engine.phase == "planning":
            engine = replace(engine, missing=event.missing, cause=event.cause)
            state = _put(state, _phase(engine, "absent", now, "waiting for room"))
            return replace(state, queue=(engine.key, *state.queue))
        case Spawned():
            engine = replace(engine, pid=event.pid)
        case Progressed() if engine.phase == "starting":
            engine = replace(engine, stage=event.stage)
        case Listening() if engine.phase == "starting":
            actions.append(Warm(engine.key, engine.run))
            engine = _phase(engine, "warming", now, "first token")
        case Warmed() if engine.phase == "warming":
            default = engine.model.keep_alive
            engine = _ready(engine, event, state.policy.keep_alive if default is None else default, actions)
        case Unhealthy() if engine.phase in {"starting", "warming", "ready", "draining"}:
            # Its Exited follows and decides what comes next; the cause found here is the better one.
            actions.append(Stop(engine.key, engine.run, gentle=False))
            engine = replace(_phase(engine, "failing", now, "ending a hung engine"), cause=event.cause)
        case Died() if engine.phase in {"starting", "warming", "ready", "draining"}:
            engine = replace(_phase(engine, "failing", now, "ending what it left behind"), cause=None)
        case Exited():
            return _exited(state, engine, event, actions)
        case _:
            pass
    return _put(state, engine)


def _ready(engine: EngineState, event: Warmed, default_keep: float, actions: list[Action]) -> EngineState:
    keep = engine.keep_alive if engine.wanted else default_keep  # a restarted engine goes on as before
    for waiter in engine.waiters:
        actions.append(Grant(waiter.ticket, engine.key, engine.run))
        keep = keep if waiter.keep_alive is None else waiter.keep_alive
    engine = replace(
        _phase(engine, "ready", event.now),
        capacity=event.capacity,
        leases=engine.leases | {w.ticket for w in engine.waiters},
        waiters=(),
        keep_alive=0.0 if engine.unload else keep,
        expires_at=event.now + keep,
        unload=False,
        used_at=event.now,
        wanted=True,
        failed_starts=0,
        cause=None,
    )
    return engine if engine.leases else _rest(engine, event.now, actions)


def _exited(state: State, engine: EngineState, event: Exited, actions: list[Action]) -> State:
    now, policy = event.now, state.policy
    was_ready = engine.capacity != Capacity()
    failing_cause = engine.cause if engine.phase == "failing" else None
    asked_for = engine.phase == "stopping"
    engine = replace(engine, pid=None, capacity=Capacity(), expires_at=None, yielding=False, outdated=False)
    state = _room_changed(state)
    if asked_for or state.closing:
        engine = replace(_phase(engine, "absent", now), unload=False)
        return _enqueue(state, engine, now) if engine.waiters else _put(state, engine)
    cause = failing_cause or event.cause
    crashes = (*recent(engine.crashes, now, policy), now)
    engine = replace(
        engine,
        cause=cause,
        crashes=crashes,
        restarts=engine.restarts + 1,
        failed_starts=0 if was_ready else engine.failed_starts + 1,
    )
    if cause.permanent or breaker_open(crashes, now, policy):
        engine = replace(engine, retry_at=now + policy.breaker_cooloff)
        return _put(state, _give_up(engine, cause, now, actions, phase="broken"))
    if engine.failed_starts >= policy.start_attempts:
        actions += [Refuse(w.ticket, cause) for w in engine.waiters]
        engine = replace(engine, waiters=())
    if not engine.wanted and not engine.waiters:
        return _put(state, replace(_phase(engine, "absent", now), failed_starts=0))
    engine = replace(engine, retry_at=now + backoff_delay(len(crashes), policy))
    return _put(state, _phase(engine, "backoff", now, "waiting to restart"))


def _give_up(engine: EngineState, cause: Cause, now: float, actions: list[Action], *, phase: Phase) -> EngineState:
    actions += [Refuse(w.ticket, cause) for w in engine.waiters]
    return replace(_phase(engine, phase, now), waiters=(), wanted=False, cause=cause, unload=False)

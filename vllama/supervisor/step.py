"""The life of every engine as one pure function: ``step(state, event) -> (state, actions)``.

``absent → planning → starting → warming → ready → stopping → absent``; a crash leads through ``backoff`` to the
next start, or to ``broken`` when it can't succeed or the breaker opens; ``failing`` is an engine that died or hangs
and is being buried; ``draining`` one whose last answers are finished at shutdown. Where vLLM can sleep, an engine that
makes room goes ``ready → dozing → asleep`` and comes back by ``waking``.

Invariants (tests/unit/supervisor/test_step.py runs long random histories over them): every waiter is answered
exactly once; a lease counts until it is returned; nothing is stopped while leased, save by a hang or a shutdown's
deadline; no more engines than ``policy.parallel_starts`` are being loaded at a time, one of them at most is being
planned or woken, and what a plan beside another load did not find is no reason to refuse.
"""

from __future__ import annotations

from dataclasses import replace

from vllama.engine.diagnose import Cause
from vllama.supervisor.compilation import give_up_compiling, lived, tend, with_compilation
from vllama.supervisor.events import (
    Action,
    Closing,
    CompilationEnded,
    CompilationProgressed,
    Died,
    Event,
    Exited,
    Grant,
    LeaseReturned,
    LeaseWanted,
    LifeEvent,
    Listening,
    NoRoom,
    Planned,
    PlanRefused,
    PolicyChanged,
    Progressed,
    Reconfigured,
    Refuse,
    Slept,
    Spawn,
    Spawned,
    Stop,
    Ticked,
    Unhealthy,
    UnloadWanted,
    Warm,
    Warmed,
)
from vllama.supervisor.moves import enqueue, enter, give_up, put, rest, resting, stop
from vllama.supervisor.policy import Policy, backoff_delay, breaker_open, recent
from vllama.supervisor.room import room_changed, start_next
from vllama.supervisor.states import RESTING, Capacity, EngineState, State, Waiter, expiry, lacks_room_for, waiting

_ALIVE = frozenset({"starting", "warming", "ready", "draining", "dozing", "asleep", "waking"})

BUSY = Cause("busy", "server busy, please try again.  maximum pending requests exceeded", status=503)
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
            state = give_up_compiling(_unload_wanted(state, event, actions), event.key)
        case Reconfigured():
            state = _reconfigured(state, event, actions)
        case CompilationProgressed() | CompilationEnded():
            state = lived(state, event)
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
    return tend(start_next(state, event.now, actions), event.now, actions), actions


# ------------------------------------------------------------------------------------- requests come and go


def _lease_wanted(state: State, event: LeaseWanted, actions: list[Action]) -> State:
    engine = state.engines.get(event.model.engine_key) or EngineState(event.model)
    if state.closing:
        actions.append(Refuse(event.ticket, CLOSING))
        return state
    if lacks_room_for(event.model, engine):
        # it was planned before the adapter was made: what it does is finished, then it starts with room for it
        if engine.phase in {"planning", "starting", "warming", "ready", "dozing", "asleep", "waking"}:
            state = _reconfigured(state, Reconfigured(event.now, event.model), actions)
            engine = state.engines[engine.key]
        else:
            engine = replace(engine, model=event.model)
    if engine.phase == "ready" and not engine.yielding and not engine.outdated:
        actions.append(Grant(event.ticket, engine.key, engine.run))
        keep = engine.keep_alive if event.keep_alive is None else event.keep_alive
        return put(state, replace(engine, leases=engine.leases | {event.ticket}, keep_alive=keep))
    if engine.phase == "broken" and engine.cause is not None:
        same_files = engine.model.digest == event.model.digest
        if same_files and event.now < engine.retry_at:
            actions.append(Refuse(event.ticket, engine.cause))
            return state
        # The cool-off is over or the model's files changed: one more try, on probation in the first case.
        probation = engine.crashes[1 - state.policy.breaker_crashes :] if state.policy.breaker_crashes > 1 else ()
        fresh = replace(enter(engine, "absent", event.now), failed_starts=0, gentler=0)
        engine = replace(fresh, crashes=probation if same_files else ())
    if waiting(state) >= state.policy.max_waiting:
        actions.append(Refuse(event.ticket, BUSY))
        return state
    engine = replace(engine, waiters=(*engine.waiters, Waiter(event.ticket, event.keep_alive)), unload=False)
    if engine.phase not in RESTING:
        return put(state, engine)
    return enqueue(state, replace(engine, model=event.model), event.now)


def _lease_returned(state: State, event: LeaseReturned, actions: list[Action]) -> State:
    engine = state.engines.get(event.key)
    if engine is None:
        return state
    if event.ticket not in engine.leases:
        engine = replace(engine, waiters=tuple(w for w in engine.waiters if w.ticket != event.ticket))
        state = put(state, engine)
        if engine.phase in RESTING and not engine.waiters and not engine.wanted:
            # Its load has not begun and nobody wants it any more. One that has begun is finished: who gave up
            # usually asks again.
            return replace(put(state, replace(engine, stage="")), queue=tuple(k for k in state.queue if k != event.key))
        return state
    engine = replace(engine, leases=engine.leases - {event.ticket})
    if not engine.leases and engine.phase == "ready":
        return put(state, rest(replace(engine, used_at=event.now), event.now, actions))
    if not engine.leases and engine.phase == "draining":
        return put(state, stop(engine, event.now, actions, gentle=True))
    return put(state, engine)


def _unload_wanted(state: State, event: UnloadWanted, actions: list[Action]) -> State:
    engine = state.engines.get(event.key)
    if engine is None:
        return state
    match engine.phase:
        case "ready" if engine.leases:
            return put(state, replace(engine, keep_alive=0.0, expires_at=event.now))
        case "ready":
            return put(state, stop(engine, event.now, actions, gentle=True))
        case "asleep" if not engine.waiters:
            return put(state, stop(engine, event.now, actions, gentle=True))
        case "planning" if not engine.waiters:
            return put(state, replace(enter(engine, "absent", event.now), run=engine.run + 1, wanted=False))
        case "starting" | "warming" | "waking" if not engine.waiters:
            # vLLM swallows SIGTERM while it starts: kill
            return put(state, stop(engine, event.now, actions, gentle=False))
        case "backoff" if not engine.waiters:
            return put(state, replace(enter(engine, "absent", event.now), wanted=False))
        case "absent" | "planning" | "starting" | "warming" | "backoff" | "asleep" | "waking" if engine.waiters:
            return put(state, replace(engine, unload=True))
        case "dozing":
            return put(state, replace(engine, outdated=True))
        case "stopping":
            return put(state, replace(engine, wanted=False))
        case _:
            return state


def _reconfigured(state: State, event: Reconfigured, actions: list[Action]) -> State:
    engine = state.engines.get(event.model.engine_key)
    if engine is None:
        return state
    engine = replace(engine, model=event.model, compiles=None, renew=False, uncompiled="", uncompiled_code="")
    match engine.phase:
        case "ready" if engine.leases:
            stage = "finishing its answers, then starting as configured now"
            return put(state, replace(engine, outdated=True, stage=stage))
        case "ready" | "asleep":
            queue = tuple(key for key in state.queue if key != engine.key)
            return put(replace(state, queue=queue), stop(engine, event.now, actions, gentle=True))
        case "starting" | "warming" | "waking":
            return put(state, stop(engine, event.now, actions, gentle=False))
        case "dozing":
            return put(state, replace(engine, outdated=True))
        case "planning" | "backoff" | "broken":
            # What was wrong may be right now: who waits, and an engine that was ready before, gets a fresh start.
            again = bool(engine.waiters) or engine.wanted
            fresh = replace(engine, run=engine.run + 1, crashes=(), failed_starts=0, gentler=0, cause=None, missing=0)
            fresh = enter(fresh, "absent", event.now)
            return enqueue(state, fresh, event.now) if again else put(state, fresh)
        case _:
            return put(state, engine)


# ------------------------------------------------------------------------------------------ time and the end


def _ticked(state: State, now: float, actions: list[Action]) -> State:
    for engine in tuple(state.engines.values()):
        match engine.phase:
            case "backoff" if now >= engine.retry_at:
                state = enqueue(state, engine, now)
            case "ready" | "asleep" if (at := expiry(engine)) is not None and now >= at:
                state = put(state, stop(engine, now, actions, gentle=True))
            case "draining" if now >= engine.retry_at:
                state = put(state, stop(engine, now, actions, gentle=True))
            case _:
                pass
    return state


def _closing(state: State, now: float, actions: list[Action]) -> State:
    again, state = state.closing, replace(state, closing=True, queue=())
    for known in tuple(state.engines.values()):
        actions += [Refuse(w.ticket, CLOSING) for w in known.waiters]
        engine = replace(known, waiters=(), wanted=False)
        closed = _closed_again(engine, now, actions) if again else _closed(engine, now, state.policy.drain, actions)
        state = put(state, closed)
    return state


def _closed(engine: EngineState, now: float, drain: float, actions: list[Action]) -> EngineState:
    match engine.phase:
        case "ready" if engine.leases:
            return replace(enter(engine, "draining", now, "finishing its answers"), retry_at=now + drain)
        case "ready" | "asleep":
            return stop(engine, now, actions, gentle=True)
        case "starting" | "warming" | "dozing" | "waking":
            return stop(engine, now, actions, gentle=False)
        case "planning" | "backoff" | "absent":
            return replace(enter(engine, "absent", now), run=engine.run + 1)
        case _:
            return engine


def _closed_again(engine: EngineState, now: float, actions: list[Action]) -> EngineState:
    """Whoever closes twice waits for nothing."""
    return stop(engine, now, actions, gentle=False) if engine.phase in {"draining", "stopping"} else engine


# ------------------------------------------------------------------------------------------- an engine's life


def _lived(state: State, engine: EngineState, event: LifeEvent, actions: list[Action]) -> State:
    """An event in the life of the engine's present run."""
    now = event.now
    match event:
        case Planned() if engine.phase == "planning":
            actions.append(Spawn(engine.key, engine.run, event.spec))
            engine = replace(enter(engine, "starting", now, "engine is starting"), spec=event.spec, beside=False)
            engine = with_compilation(engine, event.spec.compiles)
        case PlanRefused() | NoRoom() if engine.phase in {"planning", "waking"} and (engine.overtaken or engine.beside):
            engine = replace(engine, beside=engine.beside and not engine.overtaken)
            state = put(state, enter(engine, resting(engine), now, "waiting to load"))
            return replace(state, queue=(engine.key, *state.queue))
        case PlanRefused() if engine.phase == "planning":
            engine = give_up(engine, event.cause, now, actions, phase="absent")
        case NoRoom() if engine.phase in {"planning", "waking"}:
            engine = replace(engine, missing=event.missing, cause=event.cause)
            state = put(state, enter(engine, resting(engine), now, "waiting for room"))
            return replace(state, queue=(engine.key, *state.queue))
        case Spawned():
            engine = replace(engine, pid=event.pid)
        case Progressed() if engine.phase == "starting":
            engine = replace(engine, stage=event.stage)
        case Listening() if engine.phase == "starting":
            actions.append(Warm(engine.key, engine.run))
            engine = enter(engine, "warming", now, "first token")
        case Slept() if engine.phase == "dozing":
            state = room_changed(state)
            if engine.outdated:
                return put(state, stop(engine, now, actions, gentle=True))
            engine = enter(engine, "asleep", now)
            return enqueue(state, engine, now) if engine.waiters else put(state, engine)
        case Warmed() if engine.phase in {"warming", "waking"}:
            state = room_changed(state)
            default = engine.model.keep_alive
            engine = _ready(engine, event, state.policy.keep_alive if default is None else default, actions)
        case Unhealthy() if engine.phase in _ALIVE:
            # Its Exited follows and decides what comes next; the cause found here is the better one.
            state = replace(state, queue=tuple(key for key in state.queue if key != engine.key))
            actions.append(Stop(engine.key, engine.run, gentle=False))
            engine = replace(enter(engine, "failing", now, "ending a hung engine"), cause=event.cause)
        case Died() if engine.phase in _ALIVE:
            state = replace(state, queue=tuple(key for key in state.queue if key != engine.key))
            engine = replace(enter(engine, "failing", now, "ending what it left behind"), cause=None)
        case Exited():
            return _exited(state, engine, event, actions)
        case _:
            pass
    return put(state, engine)


def _ready(engine: EngineState, event: Warmed, default_keep: float, actions: list[Action]) -> EngineState:
    keep = engine.keep_alive if engine.wanted else default_keep  # a restarted engine goes on as before
    for waiter in engine.waiters:
        actions.append(Grant(waiter.ticket, engine.key, engine.run))
        keep = keep if waiter.keep_alive is None else waiter.keep_alive
    engine = replace(
        enter(engine, "ready", event.now),
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
    return engine if engine.leases else rest(engine, event.now, actions)


def _exited(state: State, engine: EngineState, event: Exited, actions: list[Action]) -> State:
    now, policy = event.now, state.policy
    was_ready = engine.capacity != Capacity()
    failing_cause = engine.cause if engine.phase == "failing" else None
    asked_for = engine.phase == "stopping"
    engine = replace(engine, pid=None, capacity=Capacity(), expires_at=None, yielding=False, outdated=False)
    state = room_changed(state)
    if asked_for or state.closing:
        engine = replace(enter(engine, "absent", now), unload=False)
        again = bool(engine.waiters) or engine.wanted  # wanted: it was stopped to be loaded again
        return enqueue(state, engine, now) if again else put(state, engine)
    cause = failing_cause or event.cause
    if cause.outside:
        return put(state, _not_started(engine, cause, now, policy, actions))
    if cause.memory and engine.gentler < policy.gentler_plans:
        # No crash but a plan that was too bold: the next one is tried at once.
        engine = replace(engine, gentler=engine.gentler + 1, cause=cause, restarts=engine.restarts + 1)
        if not engine.waiters and not engine.wanted:
            return put(state, enter(engine, "absent", now))
        state = put(state, enter(engine, "absent", now, "ran out of memory, trying with less"))
        return replace(state, queue=(engine.key, *state.queue))
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
        return put(state, give_up(engine, cause, now, actions, phase="broken"))
    if engine.failed_starts >= policy.start_attempts:
        actions += [Refuse(w.ticket, cause) for w in engine.waiters]
        engine = replace(engine, waiters=())
    if not engine.wanted and not engine.waiters:
        return put(state, replace(enter(engine, "absent", now), failed_starts=0))
    engine = replace(engine, retry_at=now + backoff_delay(len(crashes), policy))
    return put(state, enter(engine, "backoff", now, "waiting to restart"))


def _not_started(engine: EngineState, cause: Cause, now: float, policy: Policy, actions: list[Action]) -> EngineState:
    """No crash of the engine's: the next load may begin at once, and an engine that was up before is tried again."""
    if not engine.wanted:
        return give_up(engine, cause, now, actions, phase="absent")
    actions += [Refuse(w.ticket, cause) for w in engine.waiters]
    failed = engine.failed_starts + 1
    retry_at = now + backoff_delay(failed, policy)
    engine = replace(engine, waiters=(), cause=cause, failed_starts=failed, retry_at=retry_at)
    return enter(engine, "backoff", now, "waiting to restart")

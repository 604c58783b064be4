"""One run of an engine, from its plan to its end. Decisions P and X of ``supervisor.step``. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vllama.engine.diagnose import Cause
from vllama.supervisor.actions import Action, Grant, Refuse, Spawn, Stop, Warm
from vllama.supervisor.compilation import with_compilation
from vllama.supervisor.events import (
    Died,
    Exited,
    LifeEvent,
    Listening,
    NoRoom,
    Planned,
    PlanRefused,
    Progressed,
    Slept,
    Spawned,
    Unhealthy,
    Warmed,
)
from vllama.supervisor.moves import enqueue, enter, give_up, put, queue_first, rest, resting, stop, unqueue
from vllama.supervisor.outlook import ShortOfMemory
from vllama.supervisor.policy import Policy, backoff_delay, breaker_open, recent
from vllama.supervisor.room import room_changed
from vllama.supervisor.states import Capacity, EngineState, Phase, State

_ALIVE: Final[frozenset[Phase]] = frozenset({"starting", "warming", "ready", "draining", "dozing", "asleep", "waking"})


def went_on(state: State, engine: EngineState, event: LifeEvent, actions: list[Action]) -> State:
    """P1 to P7: an event of the engine's current run."""
    now = event.now
    match event:
        case Planned() if engine.phase == "planning":  # P1
            actions.append(Spawn(engine.key, engine.run, event.spec))
            engine = replace(enter(engine, "starting", now, "engine is starting"), spec=event.spec)
            engine = with_compilation(engine, event.spec.compiles)
        case PlanRefused() | NoRoom() if engine.outlook in {"overtaken", "parallel"}:  # P2
            waits = enter(engine, resting(engine), now, "waiting to load")
            return queue_first(state, replace(waits, outlook="put off" if engine.outlook == "parallel" else "open"))
        case PlanRefused() if engine.phase == "planning":  # P3
            engine = give_up(engine, event.cause, now, actions, phase="absent")
        case NoRoom() if engine.phase in {"planning", "waking"}:  # P4
            waits = enter(engine, resting(engine), now, "waiting for room")
            return queue_first(state, replace(waits, outlook=ShortOfMemory(event.missing), cause=event.cause))
        case Spawned():
            engine = replace(engine, pid=event.pid)
        case Progressed() if engine.phase == "starting":
            engine = replace(engine, stage=event.stage)
        case Listening() if engine.phase == "starting":  # P5
            actions.append(Warm(engine.key, engine.run))
            engine = enter(engine, "warming", now, "first token")
        case Slept() if engine.phase == "dozing":  # P6
            state = room_changed(state)
            if engine.outdated:
                return put(state, stop(engine, now, actions, gentle=True))
            engine = enter(engine, "asleep", now)
            return enqueue(state, engine, now) if engine.waiters else put(state, engine)
        case Warmed() if engine.phase in {"warming", "waking"}:  # P5
            state = room_changed(state)
            default = engine.model.keep_alive
            engine = _ready(engine, event, state.policy.keep_alive if default is None else default, actions)
        case Unhealthy() if engine.phase in _ALIVE:  # P7; the cause found here is better than that of its end
            state = unqueue(state, engine.key)
            actions.append(Stop(engine.key, engine.run, gentle=False))
            engine = replace(enter(engine, "failing", now, "ending a hung engine"), cause=event.cause)
        case Died() if engine.phase in _ALIVE:  # P7
            state = unqueue(state, engine.key)
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
        setbacks=replace(engine.setbacks, failed_starts=0),
        cause=None,
    )
    return engine if engine.leases else rest(engine, event.now, actions)


def _exited(state: State, engine: EngineState, event: Exited, actions: list[Action]) -> State:
    """X1 to X7."""
    now, policy = event.now, state.policy
    was_ready = engine.capacity != Capacity()
    failing_cause = engine.cause if engine.phase == "failing" else None
    on_request = engine.phase == "stopping"
    engine = replace(engine, pid=None, capacity=Capacity(), expires_at=None, yielding=False, outdated=False)
    state = room_changed(state)
    if on_request or state.closing:  # X1
        engine = replace(enter(engine, "absent", now), unload=False)
        again = bool(engine.waiters) or engine.wanted  # wanted: it was stopped to be loaded again
        return enqueue(state, engine, now) if again else put(state, engine)
    cause = failing_cause or event.cause
    if cause.outside:  # X2
        return put(state, _not_started(engine, cause, now, policy, actions))
    setbacks = engine.setbacks
    if cause.memory and setbacks.gentler < policy.gentler_plans:  # X3: no crash, the plan was too bold
        setbacks = replace(setbacks, gentler=setbacks.gentler + 1)
        engine = replace(engine, setbacks=setbacks, cause=cause, restarts=engine.restarts + 1)
        if not engine.waiters and not engine.wanted:
            return put(state, enter(engine, "absent", now))
        return queue_first(state, enter(engine, "absent", now, "ran out of memory, trying with less"))
    crashes = (*recent(setbacks.crashes, now, policy), now)
    failed = 0 if was_ready else setbacks.failed_starts + 1
    setbacks = replace(setbacks, crashes=crashes, failed_starts=failed)
    engine = replace(engine, cause=cause, setbacks=setbacks, restarts=engine.restarts + 1)
    if cause.permanent or breaker_open(crashes, now, policy):  # X4
        engine = replace(engine, broken_until=now + policy.breaker_cooloff)
        return put(state, give_up(engine, cause, now, actions, phase="broken"))
    if failed >= policy.start_attempts:  # X5
        actions += [Refuse(w.ticket, cause) for w in engine.waiters]
        engine = replace(engine, waiters=())
    if not engine.wanted and not engine.waiters:  # X6
        return put(state, replace(enter(engine, "absent", now), setbacks=replace(setbacks, failed_starts=0)))
    # X7
    engine = replace(engine, retry_at=now + backoff_delay(len(crashes), policy))
    return put(state, enter(engine, "backoff", now, "waiting to restart"))


def _not_started(engine: EngineState, cause: Cause, now: float, policy: Policy, actions: list[Action]) -> EngineState:
    """X2 for one engine: the next load may begin at once, and an engine that was up before is tried again."""
    if not engine.wanted:
        return give_up(engine, cause, now, actions, phase="absent")
    actions += [Refuse(w.ticket, cause) for w in engine.waiters]
    setbacks = replace(engine.setbacks, failed_starts=engine.setbacks.failed_starts + 1)
    retry_at = now + backoff_delay(setbacks.failed_starts, policy)
    engine = replace(engine, waiters=(), cause=cause, setbacks=setbacks, retry_at=retry_at)
    return enter(engine, "backoff", now, "waiting to restart")

"""Orders of people: an unload, other settings, a shutdown. Decisions U, C and Q of ``supervisor.step``. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vllama.engine.diagnose import Cause
from vllama.supervisor.actions import Action, Refuse
from vllama.supervisor.events import Reconfigured, UnloadWanted
from vllama.supervisor.moves import enqueue, enter, put, stop, unqueue
from vllama.supervisor.outlook import Setbacks
from vllama.supervisor.states import EngineState, State

CLOSING: Final = Cause("closing", "the server is shutting down", status=503)


def unload_wanted(state: State, event: UnloadWanted, actions: list[Action]) -> State:
    """U1 to U5."""
    engine = state.engines.get(event.key)
    if engine is None:
        return state
    match engine.phase:
        case "ready" if engine.leases:  # U1
            return put(state, replace(engine, keep_alive=0.0, expires_at=event.now))
        case "ready":  # U2
            return put(state, stop(engine, event.now, actions, gentle=True))
        case "asleep" if not engine.waiters:  # U2
            return put(state, stop(engine, event.now, actions, gentle=True))
        case "planning" if not engine.waiters:  # U3
            return put(state, replace(enter(engine, "absent", event.now), run=engine.run + 1, wanted=False))
        case "starting" | "warming" | "waking" if not engine.waiters:  # U3
            return put(state, stop(engine, event.now, actions, gentle=False))
        case "backoff" if not engine.waiters:  # U3
            return put(state, replace(enter(engine, "absent", event.now), wanted=False))
        case "absent" | "planning" | "starting" | "warming" | "backoff" | "asleep" | "waking" if engine.waiters:  # U4
            return put(state, replace(engine, unload=True))
        case "dozing":  # U5
            return put(state, replace(engine, outdated=True))
        case "stopping":  # U5
            return put(state, replace(engine, wanted=False))
        case _:
            return state


def reconfigured(state: State, event: Reconfigured, actions: list[Action]) -> State:
    """C1 to C5."""
    engine = state.engines.get(event.model.engine_key)
    if engine is None:
        return state
    engine = replace(engine, model=event.model, compiles=None, renew=False, uncompiled="", uncompiled_code="")
    match engine.phase:
        case "ready" if engine.leases:  # C1
            stage = "finishing its answers, then starting as configured now"
            return put(state, replace(engine, outdated=True, stage=stage))
        case "ready" | "asleep":  # C2
            return put(unqueue(state, engine.key), stop(engine, event.now, actions, gentle=True))
        case "starting" | "warming" | "waking":  # C3
            return put(state, stop(engine, event.now, actions, gentle=False))
        case "dozing":  # C4
            return put(state, replace(engine, outdated=True))
        case "planning" | "backoff" | "broken":  # C5
            again = bool(engine.waiters) or engine.wanted
            fresh = replace(engine, run=engine.run + 1, setbacks=Setbacks(), cause=None)
            fresh = enter(fresh, "absent", event.now)
            return enqueue(state, fresh, event.now) if again else put(state, fresh)
        case _:
            return put(state, engine)


def closing(state: State, now: float, actions: list[Action]) -> State:
    """Q1, and Q2 for the second order."""
    again, state = state.closing, replace(state, closing=True, queue=())
    for known in tuple(state.engines.values()):
        actions += [Refuse(w.ticket, CLOSING) for w in known.waiters]
        engine = replace(known, waiters=(), wanted=False)
        closed = _closed_again(engine, now, actions) if again else _closed(engine, now, state.policy.drain, actions)
        state = put(state, closed)
    return state


def _closed(engine: EngineState, now: float, drain: float, actions: list[Action]) -> EngineState:
    """Q1 for one engine."""
    match engine.phase:
        case "ready" if engine.leases:
            return replace(enter(engine, "draining", now, "finishing its answers"), drain_until=now + drain)
        case "ready" | "asleep":
            return stop(engine, now, actions, gentle=True)
        case "starting" | "warming" | "dozing" | "waking":
            return stop(engine, now, actions, gentle=False)
        case "planning" | "backoff" | "absent":
            return replace(enter(engine, "absent", now), run=engine.run + 1)
        case _:
            return engine


def _closed_again(engine: EngineState, now: float, actions: list[Action]) -> EngineState:
    """Q2 for one engine."""
    return stop(engine, now, actions, gentle=False) if engine.phase in {"draining", "stopping"} else engine

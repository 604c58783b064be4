"""Grants, refuses and returns leases. Decisions L1 to L9 of ``supervisor.step``. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vllama.engine.diagnose import Cause
from vllama.supervisor.actions import Action, Grant, Refuse
from vllama.supervisor.events import LeaseReturned, LeaseWanted, Reconfigured
from vllama.supervisor.moves import enqueue, enter, put, rest, stop, unqueue
from vllama.supervisor.orders import CLOSING, reconfigured
from vllama.supervisor.outlook import Setbacks
from vllama.supervisor.states import RESTING, EngineState, State, Waiter, lacks_room_for, waiting

BUSY: Final = Cause("busy", "server busy, please try again.  maximum pending requests exceeded", status=503)


def lease_wanted(state: State, event: LeaseWanted, actions: list[Action]) -> State:
    """L1 to L7."""
    engine = state.engines.get(event.model.engine_key) or EngineState(event.model)
    if state.closing:  # L1
        actions.append(Refuse(event.ticket, CLOSING))
        return state
    if lacks_room_for(event.model, engine):  # L2: it was planned before the adapter was made
        if engine.phase in {"planning", "starting", "warming", "ready", "dozing", "asleep", "waking"}:
            state = reconfigured(state, Reconfigured(event.now, event.model), actions)
            engine = state.engines[engine.key]
        else:
            engine = replace(engine, model=event.model)
    if engine.phase == "ready" and not engine.yielding and not engine.outdated:  # L3
        actions.append(Grant(event.ticket, engine.key, engine.run))
        keep = engine.keep_alive if event.keep_alive is None else event.keep_alive
        return put(state, replace(engine, leases=engine.leases | {event.ticket}, keep_alive=keep))
    if engine.phase == "broken" and engine.cause is not None:
        same_files = engine.model.digest == event.model.digest
        if same_files and event.now < engine.broken_until:  # L4
            actions.append(Refuse(event.ticket, engine.cause))
            return state
        # L5: on probation, if the files are the same
        crashes, most = engine.setbacks.crashes, state.policy.breaker_crashes
        probation = crashes[1 - most :] if most > 1 and same_files else ()
        engine = replace(enter(engine, "absent", event.now), setbacks=Setbacks(probation))
    if waiting(state) >= state.policy.max_waiting:  # L6
        actions.append(Refuse(event.ticket, BUSY))
        return state
    # L7
    engine = replace(engine, waiters=(*engine.waiters, Waiter(event.ticket, event.keep_alive)), unload=False)
    if engine.phase not in RESTING:
        return put(state, engine)
    return enqueue(state, replace(engine, model=event.model), event.now)


def lease_returned(state: State, event: LeaseReturned, actions: list[Action]) -> State:
    """L8 and L9."""
    engine = state.engines.get(event.key)
    if engine is None:
        return state
    if event.ticket not in engine.leases:  # L8
        engine = replace(engine, waiters=tuple(w for w in engine.waiters if w.ticket != event.ticket))
        state = put(state, engine)
        if engine.phase in RESTING and not engine.waiters and not engine.wanted:
            return put(unqueue(state, event.key), replace(engine, stage="", outlook="open"))
        return state
    # L9
    engine = replace(engine, leases=engine.leases - {event.ticket})
    if not engine.leases and engine.phase == "ready":
        return put(state, rest(replace(engine, used_at=event.now), event.now, actions))
    if not engine.leases and engine.phase == "draining":
        return put(state, stop(engine, event.now, actions, gentle=True))
    return put(state, engine)

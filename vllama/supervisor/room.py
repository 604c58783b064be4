"""Who loads next, and who makes room for it. Pure.

Up to ``policy.parallel_starts`` engines load at once, as long as they find room beside each other. Only when nothing
loads is room made, and is anybody told that there is none. When the next engine needs memory that others have, idle
ones go (least recently used first, to sleep where they can), busy ones yield (they finish their answers and take no
new ones), young ones are waited for, pinned ones stay.
"""

from __future__ import annotations

from dataclasses import replace

from vllama.engine.diagnose import Cause
from vllama.supervisor.events import Action, Grant, Plan, Wake
from vllama.supervisor.moves import enter, give_up, lie_down, put, rest, resting, stop
from vllama.supervisor.policy import choose_victims
from vllama.supervisor.states import LOADING, EngineState, State, residents, sleepers

NO_ROOM = Cause("no_room", "there is not enough memory for this model beside the ones that are loaded")
TOO_MANY = Cause("no_room", "as many models are loaded as may be, and none of them may be evicted")


def start_next(state: State, now: float, actions: list[Action]) -> State:
    """The head of the queue begins to load, or room is made for it, or it waits."""
    if state.closing or (state.queue and state.compilation is not None):
        return state  # what compiles is killed first: its memory must be free before the plan looks
    if any(e.phase in LOADING for e in state.engines.values()):
        return _begin(state, now, actions, beside=True) if _may_begin_beside(state) else state
    if state.queue and state.engines[state.queue[0]].missing:
        return _make_room(state, state.engines[state.queue[0]], now, actions)
    state = _nobody_needs_room(state, now, actions)
    if not state.queue:
        return state
    engine = state.engines[state.queue[0]]
    if _too_many(state):
        engine = replace(engine, missing=1, cause=TOO_MANY)
        return _make_room(put(state, engine), engine, now, actions)
    return _begin(state, now, actions, beside=False)


def _begin(state: State, now: float, actions: list[Action], *, beside: bool) -> State:
    """The head of the queue loads; ``beside``: while others do."""
    engine = replace(state.engines[state.queue[0]], overtaken=False, beside=beside)
    if engine.phase == "asleep":
        engine = enter(engine, "waking", now, "waking up")
        actions.append(Wake(engine.key, engine.run))
    else:
        engine = replace(enter(engine, "planning", now, "planning"), run=engine.run + 1, pid=None, expires_at=None)
        actions.append(Plan(engine.key, engine.run, engine.model, engine.gentler))
    return replace(put(state, engine), queue=state.queue[1:])


def _may_begin_beside(state: State) -> bool:
    """Whether the head of the queue may begin while others load.

    A plan sees only engines that have a process: so the next one waits until the one before it was spawned. One that
    sleeps, needs room, found none, or failed to start is loaded when nothing else is.
    """
    loading = [e for e in state.engines.values() if e.phase in LOADING]
    if not state.queue or len(loading) >= state.policy.parallel_starts:
        return False
    if any(e.phase in {"planning", "waking"} or e.pid is None for e in loading):
        return False
    head = state.engines[state.queue[0]]
    tried = head.missing or head.beside or head.gentler or head.failed_starts
    return not tried and head.phase != "asleep" and not _too_many(state)


def _too_many(state: State) -> bool:
    """One more engine would be more than the configuration allows."""
    limit = state.policy.max_loaded
    alive = {"ready", "draining", "failing", "stopping", "dozing", *LOADING}
    return limit is not None and sum(e.phase in alive for e in state.engines.values()) >= limit


def _make_room(state: State, engine: EngineState, now: float, actions: list[Action]) -> State:
    """The head of the queue needs memory that others have: idle ones go, busy ones yield, young ones are waited for."""
    if any(e.phase in {"stopping", "failing", "draining", "dozing"} or e.yielding for e in state.engines.values()):
        return state  # something is on its way out; then the machine is looked at afresh
    candidates = residents(state, now)
    if engine.cause is not TOO_MANY:  # those that sleep don't count as loaded
        candidates += sleepers(state)
    if sum(r.size for r in candidates) < engine.missing:
        state = replace(state, queue=state.queue[1:])
        cause = engine.cause or NO_ROOM
        state = put(state, give_up(replace(engine, missing=0), cause, now, actions, phase=resting(engine)))
        return start_next(state, now, actions)
    for key in choose_victims(candidates, engine.missing, now, state.policy.min_residence):
        victim = state.engines[key]
        if victim.leases:
            state = put(state, replace(victim, yielding=True, stage="finishing its answers, then making room"))
        elif victim.phase == "asleep":
            state = put(state, stop(victim, now, actions, gentle=True))
        else:
            state = put(state, lie_down(victim, now, actions))
    return state


def _nobody_needs_room(state: State, now: float, actions: list[Action]) -> State:
    """Engines that were asked to yield for one that is no longer wanted go on."""
    for engine in tuple(state.engines.values()):
        if engine.yielding and engine.phase == "ready" and not engine.outdated:
            actions += [Grant(w.ticket, engine.key, engine.run) for w in engine.waiters]
            leases = engine.leases | {w.ticket for w in engine.waiters}
            engine_now = replace(engine, yielding=False, stage="", leases=leases, waiters=())
            state = put(state, engine_now if leases else rest(engine_now, now, actions))
    return state


def room_changed(state: State) -> State:
    """An engine has gone or a load has ended: who waits for room is planned again, and whose plan says that there is
    none, too."""
    planned = False
    for engine in tuple(state.engines.values()):
        if engine.phase in {"planning", "waking"}:
            state, planned = put(state, replace(engine, overtaken=True)), True
        elif engine.beside:
            state = put(state, replace(engine, beside=False))
    if planned or not state.queue or not state.engines[state.queue[0]].missing:
        return state
    return put(state, replace(state.engines[state.queue[0]], missing=0))

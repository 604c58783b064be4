"""Decides which engine loads next, and which ones are unloaded for it. Pure.

``start_next`` looks at the head of the queue after every event. The decisions, with the labels that they have in the
code; the first one that fits applies. To make room is to unload other engines, or to put them to sleep.

  R1  The service shuts down, or a compilation still holds memory: wait.
  R2  Other engines load. The head may begin next to them if this is its first try, it is not asleep, all of them have
      a process (a plan sees only those), and neither ``parallel_starts`` nor ``max_loaded`` is reached. Otherwise it
      waits.
  R3  Nothing loads, and the head is known to lack memory: make room (R7-R9).
  R4  No engine needs room any more: yielding engines take new requests again.
  R5  As many engines are loaded as the configuration allows: make room for one (R7-R9).
  R6  Begin: wake the head up, or plan it.

Making room, only while nothing loads:
  R7  An engine is leaving: wait, then look at the machine again.
  R8  All candidates together are too small: refuse all requests that wait for the head, and continue with the next
      engine in the queue.
  R9  Choose (``tenants.choose_victims``): the least recently used idle engines first. Put an idle engine to sleep if it
      can sleep, else stop it. Stop a sleeping one. A busy one yields: it finishes its answers and takes no new
      requests. Wait until a young one has had ``min_residence``. A pinned one stays.

An engine's process is gone, or a load has ended (``room_changed``):
  R10 The head of the queue, if it lacked memory, is planned again. A plan that is being made is out of date.
"""

from __future__ import annotations

from dataclasses import replace

from vllama.engine.diagnose import Cause
from vllama.supervisor.actions import Action, Grant, Plan, Wake
from vllama.supervisor.moves import enter, give_up, lie_down, put, rest, resting, stop
from vllama.supervisor.outlook import Outlook, Short, ShortOfMemory, ShortOfPlaces
from vllama.supervisor.states import LOADING, State, residents, sleepers
from vllama.supervisor.tenants import Tenant, choose_victims

NO_ROOM = Cause("no_room", "there is not enough memory for this model next to the loaded ones")
TOO_MANY = Cause(
    "no_room", "the limit of loaded models (engine.max_loaded) is reached, and none of them may be unloaded"
)


def start_next(state: State, now: float, actions: list[Action]) -> State:
    """Begins the load of the queue's head, makes room for it, or lets it wait."""
    if state.closing or (state.queue and state.compilation is not None):  # R1
        return state
    if any(e.phase in LOADING for e in state.engines.values()):  # R2
        return _begin(state, now, actions, parallel=True) if _may_begin_in_parallel(state) else state
    if state.queue and isinstance(state.engines[state.queue[0]].outlook, Short):  # R3
        return _make_room(state, now, actions)
    state = _room_not_needed(state, now, actions)  # R4
    if not state.queue:
        return state
    engine = state.engines[state.queue[0]]
    if _too_many(state):  # R5
        return _make_room(put(state, replace(engine, outlook=ShortOfPlaces(), cause=TOO_MANY)), now, actions)
    return _begin(state, now, actions, parallel=False)  # R6


def _begin(state: State, now: float, actions: list[Action], *, parallel: bool) -> State:
    """The head of the queue loads; ``parallel``: while others do."""
    engine = state.engines[state.queue[0]]
    if engine.phase == "asleep":
        engine = enter(engine, "waking", now, "waking up")
        actions.append(Wake(engine.key, engine.run))
    else:
        engine = replace(enter(engine, "planning", now, "planning"), run=engine.run + 1, pid=None, expires_at=None)
        actions.append(Plan(engine.key, engine.run, engine.model, engine.setbacks.gentler))
    engine = replace(engine, outlook="parallel" if parallel else "alone")
    return replace(put(state, engine), queue=state.queue[1:])


def _may_begin_in_parallel(state: State) -> bool:
    """R2: whether the head of the queue may begin while others load."""
    loading = [e for e in state.engines.values() if e.phase in LOADING]
    if not state.queue or len(loading) >= state.policy.parallel_starts:
        return False
    if any(e.phase in {"planning", "waking"} or e.pid is None for e in loading):
        return False
    head = state.engines[state.queue[0]]
    first_try = head.outlook == "open" and not head.setbacks.gentler and not head.setbacks.failed_starts
    return first_try and head.phase != "asleep" and not _too_many(state)


def _too_many(state: State) -> bool:
    """One more engine would be more than the configuration allows."""
    limit = state.policy.max_loaded
    alive = {"ready", "draining", "failing", "stopping", "dozing", *LOADING}
    return limit is not None and sum(e.phase in alive for e in state.engines.values()) >= limit


def _make_room(state: State, now: float, actions: list[Action]) -> State:
    """R7 to R9: the head of the queue needs memory that other engines hold."""
    if any(e.phase in {"stopping", "failing", "draining", "dozing"} or e.yielding for e in state.engines.values()):
        return state  # R7
    engine = state.engines[state.queue[0]]
    candidates, missing = _candidates(state, engine.outlook)
    if sum(tenant.held for tenant in candidates) < missing:  # R8
        state = replace(state, queue=state.queue[1:])
        cause = engine.cause or NO_ROOM
        return start_next(put(state, give_up(engine, cause, now, actions, phase=resting(engine))), now, actions)
    # R9
    for key in choose_victims(candidates, missing, now, state.policy.min_residence):
        victim = state.engines[key]
        if victim.leases:
            state = put(state, replace(victim, yielding=True, stage="finishing its answers, then making room"))
        elif victim.phase == "asleep":
            state = put(state, stop(victim, now, actions, gentle=True))
        else:
            state = put(state, lie_down(victim, now, actions))
    return state


def _candidates(state: State, lack: Outlook) -> tuple[tuple[Tenant, ...], int]:
    """The tenants that may be evicted, with their sizes, and how much of that is missing: in bytes, or in places."""
    match lack:
        case ShortOfMemory(missing):
            return (*residents(state), *sleepers(state)), missing
        case ShortOfPlaces():  # engines that sleep don't count as loaded
            return tuple(replace(tenant, size=1) for tenant in residents(state)), 1
        case _:
            return (), 0


def _room_not_needed(state: State, now: float, actions: list[Action]) -> State:
    """R4: engines that were asked to yield for one that is no longer wanted go on."""
    for engine in tuple(state.engines.values()):
        if engine.yielding and engine.phase == "ready" and not engine.outdated:
            actions += [Grant(w.ticket, engine.key, engine.run) for w in engine.waiters]
            leases = engine.leases | {w.ticket for w in engine.waiters}
            engine_now = replace(engine, yielding=False, stage="", leases=leases, waiters=())
            state = put(state, engine_now if leases else rest(engine_now, now, actions))
    return state


def room_changed(state: State) -> State:
    """R10: an engine's process is gone, or a load has ended."""
    planned = False
    for engine in tuple(state.engines.values()):
        if engine.phase in {"planning", "waking"}:
            state, planned = put(state, replace(engine, outlook="overtaken")), True
        elif engine.outlook == "put off":
            state = put(state, replace(engine, outlook="open"))
    head = state.engines[state.queue[0]] if state.queue else None
    if planned or head is None or not isinstance(head.outlook, Short):
        return state
    return put(state, replace(head, outlook="open"))

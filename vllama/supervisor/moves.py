"""The small changes of state that the decisions share. Pure."""

from __future__ import annotations

from dataclasses import replace

from vllama.engine.diagnose import Cause
from vllama.supervisor.actions import Action, Refuse, Sleep, Stop
from vllama.supervisor.states import EngineState, Phase, State


def put(state: State, engine: EngineState) -> State:
    """The state with this engine as it is now."""
    return replace(state, engines={**state.engines, engine.key: engine})


def enter(engine: EngineState, phase: Phase, now: float, stage: str = "") -> EngineState:
    """The engine in another phase. What was known about its next load is forgotten."""
    return replace(engine, phase=phase, since=now, stage=stage, outlook="open")


def enqueue(state: State, engine: EngineState, now: float) -> State:
    """It waits for its turn to load. One that waits already keeps its turn, and what is known about it."""
    waits = enter(engine, resting(engine), now, "waiting to load")
    if engine.key in state.queue:
        return put(state, replace(waits, outlook=engine.outlook))
    return replace(put(state, waits), queue=(*state.queue, engine.key))


def queue_first(state: State, engine: EngineState) -> State:
    """Put the engine back at the head of the queue."""
    return replace(put(state, engine), queue=(engine.key, *state.queue))


def unqueue(state: State, key: str) -> State:
    """The engine is not loaded, or not in its turn."""
    return replace(state, queue=tuple(other for other in state.queue if other != key))


def resting(engine: EngineState) -> Phase:
    """The phase in which it waits for its turn: asleep if it has a process that sleeps."""
    return "asleep" if engine.phase in {"asleep", "waking"} else "absent"


def rest(engine: EngineState, now: float, actions: list[Action]) -> EngineState:
    """The last lease of a ready engine has ended: its timer starts, or it is unloaded."""
    if engine.keep_alive <= 0 or engine.outdated:
        return stop(engine, now, actions, gentle=True)
    if engine.yielding:
        return lie_down(engine, now, actions)
    return replace(engine, expires_at=now + engine.keep_alive)


def lie_down(engine: EngineState, now: float, actions: list[Action]) -> EngineState:
    """Free its memory for another engine: it sleeps if it can, and is stopped otherwise."""
    if engine.spec is None or not engine.spec.asleep:
        return stop(engine, now, actions, gentle=True)
    actions.append(Sleep(engine.key, engine.run))
    dozing = enter(engine, "dozing", now, "falling asleep")
    return replace(dozing, wanted=False, yielding=False, expires_at=now + engine.keep_alive)


def stop(engine: EngineState, now: float, actions: list[Action], *, gentle: bool) -> EngineState:
    """Stop its process; its Exited follows."""
    actions.append(Stop(engine.key, engine.run, gentle))
    stopping = enter(engine, "stopping", now, "stopping")
    return replace(stopping, wanted=False, yielding=False, outdated=False, expires_at=now)


def give_up(engine: EngineState, cause: Cause, now: float, actions: list[Action], *, phase: Phase) -> EngineState:
    """Refuse all waiting requests with the cause."""
    actions += [Refuse(w.ticket, cause) for w in engine.waiters]
    return replace(enter(engine, phase, now), waiters=(), wanted=False, cause=cause, unload=False)

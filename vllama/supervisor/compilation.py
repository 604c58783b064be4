"""Decides when models are compiled: while the machine is idle, one after the other. Pure.

An engine without compiled code computes eagerly and is ready a minute sooner. The code is made afterwards by a process
of its own at the lowest priority, once all engines have been idle for a moment. It stands still while a request runs.
It is killed when a model is to be loaded, and begins again later. One that is killed by others is tried three times.
What fails otherwise is reported once and not tried again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vllama.engine.spec import EngineSpec
from vllama.supervisor.actions import Action, Compile, EndCompilation, PauseCompilation
from vllama.supervisor.events import CompilationEnded, CompilationProgressed
from vllama.supervisor.moves import put, stop
from vllama.supervisor.states import LOADING, CodeState, Compilation, EngineState, Phase, State

QUIET: Final = 5.0
"""Seconds without a request before the process starts or goes on: often another request follows an answer."""
LONG: Final = 60.0
"""Seconds without a request after which an eager engine is loaded again with its compiled code."""
_LATER: Final = 60.0
"""Seconds until the next try when there was no room."""
KILLED: Final = 600.0
"""Seconds until the next try when the process was killed, usually by the kernel, which had too little memory then."""
_KILLS: Final = 3
"""After so many it counts as failed."""
_RESTLESS: Final[tuple[Phase, ...]] = (*LOADING, "stopping", "failing", "draining", "dozing")
_SETTLED: Final[tuple[Phase, ...]] = ("absent", "ready", "asleep")


def tend(state: State, now: float, actions: list[Action]) -> State:
    """After every event: starts, pauses, resumes or ends the compilation, as the engines allow."""
    running = state.compilation
    if running is None:
        return _begin(_renew(state, now, actions), now, actions)
    if running.ending:
        return state
    unwanted = state.engines[running.key].compiles is None or not state.policy.compiles
    if state.closing or state.queue or _loading(state) or unwanted:
        actions.append(EndCompilation(running.run))
        return replace(state, compilation=replace(running, ending=True))
    if running.paused == _in_use(state) or (running.paused and now < _quiet_at(state)):
        return state
    actions.append(PauseCompilation(running.run, not running.paused))
    return replace(state, compilation=replace(running, paused=not running.paused))


def lived(state: State, event: CompilationProgressed | CompilationEnded) -> State:
    """An event in the life of the process; of an older one it is history."""
    running = state.compilation
    if running is None or running.run != event.run:
        return state
    if isinstance(event, CompilationProgressed):
        return replace(state, compilation=replace(running, stage=event.stage))
    state, engine = replace(state, compilation=None), state.engines[running.key]
    if event.made:
        return put(state, replace(engine, compiles=None, renew=engine.phase == "ready"))
    if event.later:
        return put(state, replace(engine, compile_at=event.now + _LATER))
    if running.ending or event.cause is None or engine.compiles is None:
        return state
    killed = engine.compile_kills + 1
    if (event.cause.memory or event.cause.code == "killed") and killed < _KILLS:
        return put(state, replace(engine, compile_at=event.now + KILLED, compile_kills=killed))
    failed = replace(engine, compiles=None, uncompiled=event.cause.sentence, uncompiled_code=engine.compiles.code)
    return put(state, failed)


def with_compilation(engine: EngineState, compiles: EngineSpec | None) -> EngineState:
    """The engine was planned: this start would make the code that it misses, unless that has failed before."""
    failed = compiles is not None and compiles.code == engine.uncompiled_code
    if failed:
        return replace(engine, compiles=None)
    return replace(
        engine, compiles=compiles, compile_at=0.0, compile_kills=0, renew=False, uncompiled="", uncompiled_code=""
    )


def give_up_compiling(state: State, key: str) -> State:
    """Its code is not made any more, until the engine is planned again."""
    engine = state.engines.get(key)
    return state if engine is None or engine.compiles is None else put(state, replace(engine, compiles=None))


def compilation_due(state: State) -> float | None:
    """When ``tend`` has something to do, if nothing else happens."""
    running = state.compilation
    if running is not None:
        return _quiet_at(state) if running.paused and not running.ending and not _in_use(state) else None
    if not _idle(state):
        return None
    waiting = [engine.compile_at for engine in state.engines.values() if _wants(engine)]
    times = [max(_quiet_at(state), min(waiting))] if waiting else []
    times += [engine.used_at + LONG for engine in state.engines.values() if _renewable(engine)]
    return min(times, default=None)


def code_state(engine: EngineState, running: Compilation | None) -> CodeState:
    """How the engine's compiled code is."""
    if engine.compiles is None:
        return "failed" if engine.uncompiled else ""
    return "compiling" if running is not None and running.key == engine.key and not running.ending else "missing"


def describe(engine: EngineState, running: Compilation | None) -> str:
    """What is being done about the engine's compiled code, in people's words; empty when there is nothing to say."""
    match code_state(engine, running):
        case "" if engine.renew and engine.phase == "ready":
            later = "it is loaded again with that after a minute without requests"
            return f"eager; compiled, and {later if _renewable(engine) else 'the next load uses that'}"
        case "":
            return ""
        case "failed":
            return f"eager, because compiling failed: {engine.uncompiled}"
        case "compiling" if running is not None and running.paused:
            return "eager; compiling goes on when the machine is idle"
        case "compiling" if running is not None:
            return f"eager; compiling now ({running.stage or 'looking for room'})"
        case _:
            return "eager; it is compiled when the machine is idle"


def _renew(state: State, now: float, actions: list[Action]) -> State:
    """Load an eager engine again once its code is made. Requests may have to wait for this once in a model's life."""
    if not _idle(state):
        return state
    for engine in state.engines.values():
        if _renewable(engine) and now >= engine.used_at + LONG:
            stopping = stop(engine, now, actions, gentle=True)
            return put(state, replace(stopping, renew=False, wanted=True, stage="loading again, with compiled code"))
    return state


def _begin(state: State, now: float, actions: list[Action]) -> State:
    ripe = [engine for engine in state.engines.values() if _wants(engine) and now >= engine.compile_at]
    if not ripe or not _idle(state) or now < _quiet_at(state):
        return state
    engine = max(ripe, key=lambda engine: engine.used_at)
    if engine.compiles is None:
        return state
    run = state.compilations + 1
    actions.append(Compile(run, engine.model, engine.compiles))
    return replace(state, compilation=Compilation(engine.key, run, now), compilations=run)


def _idle(state: State) -> bool:
    """Nothing else is going on, and compiled code is wanted."""
    return state.policy.compiles and not (state.closing or state.queue or _in_use(state) or _restless(state))


def _renewable(engine: EngineState) -> bool:
    """It is worth while: else it is unloaded soon, and its next load has the code."""
    return engine.renew and engine.phase == "ready" and (engine.expires_at or 0.0) >= engine.used_at + 2 * LONG


def _wants(engine: EngineState) -> bool:
    return engine.compiles is not None and engine.phase in _SETTLED


def _in_use(state: State) -> bool:
    """A request runs or waits."""
    return any(engine.leases or engine.waiters for engine in state.engines.values())


def _loading(state: State) -> bool:
    return any(engine.phase in LOADING for engine in state.engines.values())


def _restless(state: State) -> bool:
    return any(engine.phase in _RESTLESS for engine in state.engines.values())


def _quiet_at(state: State) -> float:
    """When the last use is ``QUIET`` ago."""
    return max((max(e.used_at, e.since) for e in state.engines.values()), default=0.0) + QUIET

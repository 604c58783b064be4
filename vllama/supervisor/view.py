"""An engine as people see it."""

from __future__ import annotations

from vllama.supervisor.compilation import code_state, describe
from vllama.supervisor.port import EngineView
from vllama.supervisor.states import Compilation, EngineState


def view_of(engine: EngineState, shift: float, running: Compilation | None) -> EngineView:
    """``shift``: seconds from the engine's clock to Unix time; ``running``: what is being compiled."""
    spec = engine.spec
    return EngineView(
        model=engine.model,
        phase=engine.phase,
        stage=engine.stage,
        since=engine.since + shift,
        expires_at=None if engine.expires_at is None else engine.expires_at + shift,
        leases=len(engine.leases),
        waiting=len(engine.waiters),
        size=spec.size if spec else 0,
        size_vram=spec.size_vram if spec else 0,
        context_length=engine.capacity.max_model_len,
        kv_tokens=engine.capacity.kv_tokens,
        code_from=engine.capacity.code_from,
        code_fault=engine.capacity.code_fault,
        pid=engine.pid,
        restarts=engine.restarts,
        cause=engine.cause.sentence if engine.cause else "",
        python=spec.argv[0] if spec else "",
        yielding=engine.yielding,
        gpus=spec.gpus if spec else (),
        weights=spec.weights if spec else 0,
        kv_cache=spec.kv_cache if spec else 0,
        max_requests=spec.max_requests if spec else 0,
        code=code_state(engine, running),
        compiling=describe(engine, running),
    )

"""Engines as the feed reports them."""

from __future__ import annotations

from typing import Any

from tests.unit.supervisor.worlds import model
from vllama.supervisor.port import EngineView, Phase


def view(name: str, phase: Phase, stage: str = "", cause: str = "") -> EngineView:
    numbers: dict[str, Any] = dict.fromkeys(("since", "leases", "waiting", "size", "size_vram", "context_length"), 0)
    numbers |= {"kv_tokens": 0, "restarts": 0}
    return EngineView(model(name), phase, stage, expires_at=None, pid=None, cause=cause, **numbers)

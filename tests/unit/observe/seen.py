"""Engines as what looks at the machine sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


def named(name: str) -> Any:
    return SimpleNamespace(engine_key=f"key-{name}", name=SimpleNamespace(short=name))


@dataclass
class Seen:
    """As much of an EngineView as is read there."""

    pid: int | None = None
    gpus: tuple[int, ...] = ()
    model: Any = field(default_factory=lambda: named("tiny"))
    phase: str = "ready"
    leases: int = 0
    size_vram: int = 0
    code: str = ""


class Engines:
    def __init__(self, *seen: Seen) -> None:
        self.seen = seen

    def snapshot(self) -> tuple[Any, ...]:
        return self.seen

"""One run of an engine: its process, client, watching task, adapters and template trials."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from vllama.engine.client import Client
from vllama.supervisor.adapters import Adapters
from vllama.supervisor.spawner import Process
from vllama.supervisor.tasks import outcome
from vllama.supervisor.template_trials import TemplateTrials

_TRIES: Final = 3


@dataclass(slots=True)
class Child:
    """One run of an engine."""

    run: int
    process: Process
    client: Client
    adapters: Adapters = field(default_factory=Adapters)
    template: TemplateTrials = field(default_factory=TemplateTrials)
    watch: asyncio.Task[None] | None = None


async def end(process: Process) -> None:
    """Kill all of it and see it gone. When that fails it is tried again, a few times."""
    for _ in range(_TRIES):
        if await outcome(process.end()) is None:
            return

"""Looks at the engines' numbers for those who want to see them, at most once a second.

Nothing is looked at while nobody asks. All who ask within a second see the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vllama.engine.client import Client
from vllama.errors import VllamaError
from vllama.observe.collectors import EngineSource
from vllama.observe.gauges import Gauges, read_gauges

_EVERY: Final = 1.0
_ENGINE_SECONDS: Final = 1.0
"""An engine that takes longer is left out."""
_NOTHING: Final = Gauges()


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen at one moment."""

    at: float = 0.0
    """Monotonic seconds."""
    gauges: Mapping[str, Gauges] = field(default_factory=dict)
    """Of the engines that are ready, by model name."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Generated tokens per second since the sight before, by model name; none for an engine seen for the first time."""


class Watch:
    """One for the whole service; belongs to its event loop."""

    def __init__(self, engines: EngineSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._engines = engines
        self._clock = clock
        self._last = Sight(-_EVERY)
        self._looking: asyncio.Task[Sight] | None = None

    async def sight(self) -> Sight:
        """The last sight if it is young, else a new one."""
        if self._looking is None and self._clock() - self._last.at >= _EVERY:
            self._looking = asyncio.create_task(self._new())
        if self._looking is None:
            return self._last
        return await asyncio.shield(self._looking)

    async def _new(self) -> Sight:
        try:
            before, now = self._last, self._clock()
            clients = self._engines.clients()
            seen = await asyncio.gather(*map(_gauges, clients.values()))
            gauges = dict(zip(clients, seen, strict=True))
            self._last = Sight(now, gauges, _rates(before, gauges, now))
            return self._last
        finally:
            self._looking = None


async def _gauges(client: Client) -> Gauges:
    try:
        text = await client.get("/metrics", timeout=_ENGINE_SECONDS)
    except VllamaError:
        return _NOTHING
    return read_gauges(text.decode("utf-8", "replace"))


def _rates(before: Sight, gauges: Mapping[str, Gauges], now: float) -> dict[str, float]:
    """An engine that was started anew counts from zero again: it has no rate this time."""
    found = {}
    for name, seen in gauges.items():
        last = before.gauges.get(name, _NOTHING).generated_tokens
        if last is not None and seen.generated_tokens is not None and seen.generated_tokens >= last and now > before.at:
            found[name] = (seen.generated_tokens - last) / (now - before.at)
    return found

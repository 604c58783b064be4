"""The engines' last failures, for those who ask what went wrong."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from vllama.observe.news import EngineChanged, News

KEPT: Final = 20
_FAILED: Final = frozenset({"backoff", "broken"})


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure of an engine."""

    at: float
    """Unix seconds."""
    model: str
    """Short name."""
    cause: str
    """With what to do; may hold paths of this machine."""


class Failures:
    """Subscribes to the feed. Belongs to the event loop."""

    def __init__(self) -> None:
        self._last: deque[Failure] = deque(maxlen=KEPT)
        self._failed: dict[str, str] = {}
        """Phase of the engines that have failed and were not loaded since."""

    def take(self, news: News) -> None:
        """Keep it if an engine has just failed; another stage of the same failure is no new one."""
        if not isinstance(news, EngineChanged):
            return
        engine = news.engine
        name = engine.model.name.short
        if engine.phase not in _FAILED:
            self._failed.pop(name, None)
        elif self._failed.get(name) != engine.phase:
            self._failed[name] = engine.phase
            self._last.append(Failure(engine.since, name, engine.cause))

    def last(self) -> list[Failure]:
        """Newest first."""
        return [*reversed(self._last)]

"""Everything that somebody who looks at the service sees, in one place: the feed, the numbers, the last minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from vllama.errors import Busy
from vllama.observe.energy import Energy
from vllama.observe.failures import Failures
from vllama.observe.feed import Feed
from vllama.observe.history import History
from vllama.observe.machine_watch import MachineWatch
from vllama.observe.news import Listens, Notice, Ready, Reloading, Stopping
from vllama.observe.slos import Slos
from vllama.observe.usage.usage import Usage
from vllama.observe.watch import Watch

MOST_LISTENERS: Final = 64
State = Literal["starting", "ready", "reloading", "stopping"]


@dataclass(slots=True)
class Lookout:
    """One for the whole service."""

    feed: Feed
    machine: MachineWatch
    watch: Watch
    history: History
    slos: Slos
    usage: Usage
    energy: Energy = field(default_factory=Energy)
    failures: Failures = field(default_factory=Failures)
    started: float = field(default_factory=time.time)
    """Unix seconds."""
    engine_version: str = ""
    """Of the installed engine; empty where there is none, and while it was not asked yet. Set by who looks for it."""
    listeners: int = 0
    """How many follow the events."""

    @property
    def state(self) -> State:
        """What the service is doing as a whole."""
        for news in self.feed.present():
            match news:
                case Ready():
                    return "ready"
                case Reloading():
                    return "reloading"
                case Stopping():
                    return "stopping"
                case _:
                    pass
        return "starting"

    @property
    def address(self) -> tuple[str, int] | None:
        """Where the service listens; None before it does."""
        found = (news for news in self.feed.present() if isinstance(news, Listens))
        return next(((news.host, news.port) for news in found), None)

    @property
    def notices(self) -> tuple[str, ...]:
        """What an administrator must do something about."""
        return tuple(news.text for news in self.feed.present() if isinstance(news, Notice))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """One more follows the events. Raises Busy when there are too many."""
        if self.listeners >= MOST_LISTENERS:
            raise Busy(f"{MOST_LISTENERS} clients follow the events already; try again later")
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1

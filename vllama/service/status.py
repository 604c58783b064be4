"""What systemd gets of the news: READY, RELOADING, STOPPING, the status line, more time for a start that goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vllama.observe.feed import Feed
from vllama.observe.news import EngineChanged, EngineSeen, News, Notice, Ready, Reloading, Stopping
from vllama.service.notify import Notifier
from vllama.supervisor.states import LOADING

LAST_STEPS: Final = 60.0
"""Seconds after the drain time in which engines end or are killed, and their processes are gone."""
_LONGEST_SILENCE: Final = 24 * 3600.0


class Status:
    """Subscribes to the feed for systemd."""

    def __init__(self, notifier: Notifier, feed: Feed, stall_timeout: float) -> None:
        """``stall_timeout``: seconds in which an engine's start may show no progress (``engine.stall_timeout``)."""
        self._notifier = notifier
        self._feed = feed
        # the supervisor itself ends a start that stalls
        self._extension = min(stall_timeout, _LONGEST_SILENCE) + LAST_STEPS
        self._starting = True

    def take(self, news: News) -> None:
        """Send what systemd must know of it."""
        match news:
            case EngineChanged():
                self._send()
                if self._starting and news.engine.phase in LOADING:
                    self._notifier.extend(self._extension)
            case Notice():
                self._send()
            case Ready():
                self._starting = False
                self._notifier.ready()
                self._send()
            case Reloading():
                self._notifier.reloading()
            case Stopping():
                self._notifier.stopping(news.seconds)

    def _send(self) -> None:
        present = self._feed.present()
        engines = [news.engine for news in present if isinstance(news, EngineChanged)]
        self._notifier.status(status_line(engines, [news.text for news in present if isinstance(news, Notice)]))


def status_line(engines: Iterable[EngineSeen], notices: Iterable[str] = ()) -> str:
    """``serving 2 models: qwen3:8b, nomic-embed; loading llama3.2:3b: loading weights 62 %``."""
    parts = [*notices]
    serving = [_shown(e) for e in engines if e.phase == "ready"]
    if serving:
        parts.append(f"serving {len(serving)} model{'s' if len(serving) > 1 else ''}: {', '.join(serving)}")
    for engine in engines:
        name = _shown(engine)
        if engine.phase in LOADING:
            parts.append(f"loading {name}: {engine.stage}")
        elif engine.phase in {"backoff", "broken"}:
            parts.append(f"{name} failed: {engine.cause}")
        elif engine.phase in {"stopping", "draining", "failing"}:
            parts.append(f"unloading {name}")
        elif engine.phase in {"dozing", "asleep"}:
            parts.append(f"{name} sleeps")
    return " ".join("; ".join(parts).split()) or "ready, no model loaded"


def _shown(engine: EngineSeen) -> str:
    return engine.model.name.short.removesuffix(":latest")

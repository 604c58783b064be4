"""Where everything that changes is published once, and whoever shows it subscribes.

A subscriber gets the present state first and then every change, in the order of publication. It is called within
``publish``, on the event loop's thread, so it must be quick and must not wait. One that has to wait for a client puts
the news into a bounded queue of its own.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from vllama.observe.news import News

_LOG: Final = logging.getLogger("vllama")
MOST_AT_ONCE: Final = 1000
"""News in one ``publish``: more can only come from subscribers that answer each other for ever."""

Take: TypeAlias = Callable[[News], object]


class Feed:
    """Belongs to one event loop. Keeps the latest news of each topic until the topic is over, and nothing else."""

    def __init__(self) -> None:
        self._takers: list[Take] = []
        self._present: dict[str, News] = {}
        self._waiting: deque[News] = deque()
        self._delivering = False

    def present(self) -> tuple[News, ...]:
        """The latest news of every topic that is not over, in the order in which the topics began."""
        return tuple(self._present.values())

    @contextmanager
    def subscribed(self, *takers: Take) -> Iterator[None]:
        """Call each of these with the present state now, and with all news while the block runs.

        An exception of one is logged. The others get the news all the same.
        """
        for take in takers:
            for news in self.present():
                _hand(take, news)
            self._takers.append(take)
        try:
            yield
        finally:
            for take in takers:
                self._takers.remove(take)

    def publish(self, news: News) -> None:
        """Hand this to all subscribers. What a subscriber publishes meanwhile comes after it, for all of them."""
        self._waiting.append(news)
        if self._delivering:
            return
        self._delivering = True
        try:
            for _ in range(MOST_AT_ONCE):
                if not self._waiting:
                    return
                self._deliver(self._waiting.popleft())
            if self._waiting:
                _LOG.error("subscribers answer each other without end; the remaining news are dropped")
                self._waiting.clear()
        finally:
            self._delivering = False

    def _deliver(self, news: News) -> None:
        if news.over:
            self._present.pop(news.topic, None)
        else:
            self._present[news.topic] = news
        for take in tuple(self._takers):
            _hand(take, news)


def _hand(take: Take, news: News) -> None:
    try:
        take(news)
    except Exception:  # noqa: BLE001 - a subscriber's own
        _LOG.exception("a subscriber failed at %s", type(news).__name__)

"""Shows on a terminal how ``vllama serve`` starts, what its engines do, and what to try first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from vllama import __version__
from vllama.cli.progress import Show
from vllama.config.exposure import only_here
from vllama.config.schema import Access
from vllama.models.sources import BUILTIN
from vllama.observe.news import EngineChanged, EngineSeen, Listens, News, Preloaded

_SERVED: Final[Mapping[Access, str]] = {
    "loopback": "this machine only",
    "lan": "this machine and the local networks",
    "any": "everybody who reaches this port",
}


class Startup:
    """Subscribes to the feed for a terminal. A closed terminal is no error."""

    def __init__(self, show: Show, *, named: bool, access: Access) -> None:
        """``named``: there are models on the command line. ``access``: ``server.access``."""
        self._show = show
        self._access = access
        self._named = named
        self._began = time.monotonic()
        self._url = ""
        self._doing: dict[str, str] = {}
        """What each starting or stopping engine is doing, by its key: its name may change, as models share it."""

    def take(self, news: News) -> None:
        """Show it, if people at a terminal want to know."""
        match news:
            case Listens():
                self._listens(news.host, news.port)
            case EngineChanged():
                self._changed(news.engine)
            case Preloaded():
                self._preloaded(news)

    def stopped(self) -> None:
        """The service has ended."""
        self._status("")
        self._say("vLLama has stopped")

    def _listens(self, host: str, port: int) -> None:
        first = not self._url
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._say(f"vLLama {__version__} listens on {self._url} (Ctrl-C stops it)")
        if not only_here(host):
            self._say(f"It serves {_SERVED[self._access]} (server.access).")
        if first and not self._named:
            self._say("Models are loaded when a client requests them.")

    def _changed(self, engine: EngineSeen) -> None:
        name = engine.model.name.short
        match engine.phase:
            case "planning" | "starting" | "warming" | "waking" | "draining" | "failing" | "stopping" | "dozing":
                self._doing[engine.model.engine_key] = f"{name}: {engine.stage}"
            case _:
                self._doing.pop(engine.model.engine_key, None)
        self._status("; ".join(self._doing.values()))
        if engine.phase in {"backoff", "broken"}:
            self._say(f"{name}: {engine.cause}")

    def _preloaded(self, news: Preloaded) -> None:
        name = news.model.name.short.removesuffix(":latest")
        if news.error is not None:
            self._say(f"{name} could not be loaded: {news.error.detail}")
            if news.error.advice:
                self._say(f"  {news.error.advice}")
            return
        self._say(f"{name} is ready in {time.monotonic() - self._began:.0f} s. Try this in another terminal:")
        if news.model.facts.task == "embed":
            path, body = "/api/embed", f'{{"model": "{name}", "input": "Hello"}}'
        else:
            toy = name in BUILTIN
            question = "What is the capital of France?" if toy else "Write one sentence about the sea."
            turn = f'[{{"role": "user", "content": "{question}"}}]'
            limit = "" if toy else '"options": {"num_predict": 64}, '  # a very small model may not come to an end
            path = "/api/chat"
            body = f'{{"model": "{name}", "messages": {turn}, {limit}"think": false, "stream": false}}'
        self._say(f"  curl {self._url}{path} -d '{body}'")

    def _say(self, text: str) -> None:
        with suppress(OSError):
            self._show.say(text)

    def _status(self, text: str) -> None:
        with suppress(OSError):
            self._show.status(text)

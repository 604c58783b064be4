"""Our Prometheus metrics, on a registry of their own, and those of the engines.

Requests come from the books (``observe.books``); engines are read from the supervisor's snapshot when a scrape comes.
Everything runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from vllama.engine.client import Client
from vllama.errors import EngineError
from vllama.observe.collectors import ConnectionCollector, ConnectionSource, EngineCollector, EngineSource
from vllama.observe.exposition import merge
from vllama.observe.latency import Latency, Series
from vllama.observe.news import EngineChanged, News
from vllama.observe.spent import Spent

_SCRAPE_SECONDS: Final = 1.0
"""An engine that takes longer is left out of the scrape."""
_FIRST_TOKEN: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_BETWEEN_TOKENS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_REQUEST: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_LOAD: Final = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)
_LOADING: Final = frozenset({"planning", "starting", "warming", "waking"})
_DIALECTS: Final = (("/v1/messages", "anthropic"), ("/v1/", "openai"), ("/api/", "ollama"))


class Metrics:
    """All of our metrics; one instance in a service."""

    def __init__(self, engines: EngineSource) -> None:
        self._engines = engines
        self._registry = CollectorRegistry()
        self._looks: list[Callable[[], Awaitable[None]]] = []
        self._requests = Counter(
            "vllama_requests",
            "Requests answered, by HTTP status (499: the client left).",
            ("dialect", "route", "model", "status"),
            registry=self._registry,
        )
        self._in_flight = Gauge("vllama_requests_in_flight", "Requests being answered.", registry=self._registry)
        self._seconds = Histogram(
            "vllama_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("route",),
            buckets=_REQUEST,
            registry=self._registry,
        )
        self._prompt = Counter(
            "vllama_prompt_tokens", "Prompt tokens, by the engine's count.", ("model",), registry=self._registry
        )
        self._generated = Counter(
            "vllama_generated_tokens", "Generated tokens, by the engine's count.", ("model",), registry=self._registry
        )
        self._dropped = Counter(
            "vllama_dropped_messages",
            "Oldest messages left out of prompts that did not fit the context.",
            ("model",),
            registry=self._registry,
        )
        self._cut = Counter(
            "vllama_cut_tokens",
            "Tokens cut out of the middle of prompts that did not fit the context.",
            ("model",),
            registry=self._registry,
        )
        self._load = Histogram(
            "vllama_load_seconds",
            "Time from the wish to load a model to its engine's first token.",
            ("model",),
            buckets=_LOAD,
            registry=self._registry,
        )
        self._code_from = Counter(
            "vllama_compiled_code",
            "Starts of engines by how they got their compiled code: loaded, compiled, again (what was kept could not "
            "be used) or unkept (it was compiled and could not be kept).",
            ("model", "outcome"),
            registry=self._registry,
        )
        self._first = Latency(
            "vllama_time_to_first_token_seconds", "Time from a request's head to its first token.", _FIRST_TOKEN
        )
        self._between = Latency(
            "vllama_inter_token_latency_seconds",
            "Time between two reads of tokens of one stream (tokens that arrive together count once).",
            _BETWEEN_TOKENS,
        )
        self._registry.register(EngineCollector(engines, (self._first, self._between)))
        ProcessCollector(registry=self._registry)
        self._loading: dict[str, float] = {}
        self._started = set[str]()
        """Models whose engines are started; others only wake up."""

    def watch(self, crowd: ConnectionSource) -> None:
        """Count these connections from now on."""
        self.add(ConnectionCollector(crowd))

    def add(self, collector: Collector, look: Callable[[], Awaitable[None]] | None = None) -> None:
        """Ask this for metrics, too. ``look`` is awaited before each scrape and must end within a second or two."""
        self._registry.register(collector)
        if look is not None:
            self._looks.append(look)

    def began(self) -> None:
        """Count a request in."""
        self._in_flight.inc()

    def take(self, news: News) -> None:
        """Measure loads; subscribes to the feed."""
        if not isinstance(news, EngineChanged):
            return
        engine = news.engine
        name = engine.model.name.short
        if engine.phase == "starting":
            self._started.add(name)
        if engine.phase in _LOADING:
            self._loading.setdefault(name, engine.since)
        else:
            began = self._loading.pop(name, None)
            if began is not None and engine.phase == "ready":
                self._load.labels(name).observe(max(0.0, engine.since - began))
                if engine.code_from and name in self._started:
                    self._code_from.labels(name, engine.code_from).inc()
            self._started.discard(name)

    async def scrape(self) -> str:
        """Prometheus text of our own metrics and of every ready engine's, the latter labelled ``model="NAME"``."""
        clients = self._engines.clients()
        texts, _ = await asyncio.gather(
            asyncio.gather(*map(_scraped, clients.values())), asyncio.gather(*(look() for look in self._looks))
        )
        return merge(self.render(), {name: text for name, text in zip(clients, texts, strict=True) if text})

    def render(self) -> str:
        """Prometheus text of our own metrics."""
        return generate_latest(self._registry).decode()

    def series(self, model: str) -> tuple[Series, Series]:
        """Time to first token and inter-token latency of a model."""
        return self._first.of(model), self._between.of(model)

    def ended(self, spent: Spent) -> None:
        """Count a request out."""
        self._in_flight.dec()
        self._seconds.labels(spent.route).observe(spent.seconds)
        self._requests.labels(dialect(spent.route), spent.route, spent.model, str(spent.status)).inc()
        if spent.prompt_tokens:
            self._prompt.labels(spent.model).inc(spent.prompt_tokens)
        if spent.generated_tokens:
            self._generated.labels(spent.model).inc(spent.generated_tokens)
        if spent.dropped_messages:
            self._dropped.labels(spent.model).inc(spent.dropped_messages)
        if spent.cut_tokens:
            self._cut.labels(spent.model).inc(spent.cut_tokens)


async def _scraped(client: Client) -> str:
    try:
        return (await client.get("/metrics", timeout=_SCRAPE_SECONDS)).decode("utf-8", "replace")
    except EngineError:
        return ""


def dialect(route: str) -> str:
    """``ollama``, ``openai``, ``anthropic`` or ``own``, by the route's beginning."""
    return next((name for prefix, name in _DIALECTS if route.startswith(prefix)), "own")

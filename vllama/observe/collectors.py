"""Metrics that are read when a scrape comes: of the engines and of the clients' connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vllama.engine.client import Client
from vllama.observe.latency import Latency
from vllama.observe.news import EngineSeen

_PHASES: Final = (
    "planning", "starting", "warming", "ready", "draining", "failing", "stopping", "backoff", "broken", "dozing",
    "asleep", "waking",
)  # fmt: skip
_CODE: Final = ("missing", "compiling", "failed")


class EngineSource(Protocol):
    """What we ask of the supervisor."""

    def snapshot(self) -> Sequence[EngineSeen]:
        """All engines that are not absent."""
        ...

    def clients(self) -> Mapping[str, Client]:
        """Clients of the engines that are ready, by model name."""
        ...


class ConnectionSource(Protocol):
    """What we ask of the clients' connections."""

    @property
    def closed(self) -> Mapping[str, int]:
        """How many were closed by us, by reason."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...


class EngineCollector(Collector):
    """Engines at the moment of the scrape, and the latencies kept outside the client library."""

    def __init__(self, engines: EngineSource, latencies: Iterable[Latency]) -> None:
        self._engines = engines
        self._latencies = tuple(latencies)

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        state = GaugeMetricFamily("vllama_engine_state", "1 for the engine's current state.", labels=("model", "state"))
        waiting = GaugeMetricFamily("vllama_requests_waiting", "Requests waiting for a model.", labels=("model",))
        leases = GaugeMetricFamily("vllama_engine_leases", "Requests using the engine.", labels=("model",))
        size = GaugeMetricFamily("vllama_engine_bytes", "Memory planned for the engine.", labels=("model",))
        crashes = CounterMetricFamily(
            "vllama_engine_crashes",
            "Unexpected exits, failed starts included.",
            labels=("model",),
        )
        code = GaugeMetricFamily("vllama_engine_code", "1 for what its compiled code is.", labels=("model", "state"))
        for engine in self._engines.snapshot():
            name = engine.model.name.short
            for phase in _PHASES:
                state.add_metric((name, phase), float(phase == engine.phase))
            for how in _CODE:
                code.add_metric((name, how), float(how == engine.code))
            waiting.add_metric((name,), engine.waiting)
            leases.add_metric((name,), engine.leases)
            size.add_metric((name,), engine.size)
            crashes.add_metric((name,), engine.restarts)
        yield from (state, code, waiting, leases, size, crashes)
        yield from (latency.family() for latency in self._latencies)


class ConnectionCollector(Collector):
    """The clients' connections at the moment of the scrape."""

    def __init__(self, crowd: ConnectionSource) -> None:
        self._crowd = crowd

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        yield GaugeMetricFamily("vllama_connections", "Connections of clients.", value=len(self._crowd))
        closed = CounterMetricFamily(
            "vllama_connections_closed", "Connections that clients held for nothing, by reason.", labels=("reason",)
        )
        for reason, count in self._crowd.closed.items():
            closed.add_metric((reason,), count)
        yield closed

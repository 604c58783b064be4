from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vllama.engine.client import EngineClient
from vllama.observe.books import Books
from vllama.observe.metrics import Metrics, dialect
from vllama.observe.news import EngineChanged


@dataclass
class Engine:
    """As much of an EngineView as metrics read."""

    phase: str = "ready"
    since: float = 0.0
    leases: int = 0
    waiting: int = 0
    restarts: int = 0
    code_from: str = ""
    size: int = 0
    code: str = ""
    stage: str = ""
    cause: str = ""
    model: Any = field(
        default_factory=lambda: SimpleNamespace(engine_key="tiny", name=SimpleNamespace(short="tiny:latest"))
    )


class Engines:
    def __init__(self, seen: tuple[Engine, ...] = ()) -> None:
        self._seen = seen

    def snapshot(self) -> tuple[Engine, ...]:
        return self._seen

    def clients(self) -> dict[str, EngineClient]:
        return {}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(metrics.render()):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def test_a_request_is_counted_once_with_its_tokens_and_latencies():
    metrics = Metrics(Engines())
    meter = Books(metrics).meter("/api/chat")
    assert value(metrics, "vllama_requests_in_flight") == 1
    meter.model = "tiny:latest"
    for _ in range(3):
        meter.tokens()
    meter.usage(12, 5)
    meter.end(200)
    labels = {"model": "tiny:latest"}
    assert value(metrics, "vllama_requests_in_flight") == 0
    assert value(metrics, "vllama_requests_total", dialect="ollama", route="/api/chat", status="200", **labels) == 1
    assert value(metrics, "vllama_time_to_first_token_seconds_count", **labels) == 1
    assert value(metrics, "vllama_inter_token_latency_seconds_count", **labels) == 2
    assert value(metrics, "vllama_prompt_tokens_total", **labels) == 12
    assert value(metrics, "vllama_generated_tokens_total", **labels) == 5


def test_several_answers_to_one_request_are_counted_together():
    metrics = Metrics(Engines())
    meter = Books(metrics).meter("/v1/chat/completions")
    meter.model = "tiny:latest"
    for _ in range(2):
        meter.usage(12, 5)
        meter.shortened(1, 2)
    meter.end(200)
    names = ("prompt_tokens", "generated_tokens", "dropped_messages", "cut_tokens")
    found = [value(metrics, f"vllama_{name}_total", model="tiny:latest") for name in names]
    assert found == [24, 10, 2, 4]


def test_what_had_to_go_out_of_a_prompt_is_counted():
    metrics = Metrics(Engines())
    meter = Books(metrics).meter("/api/chat")
    meter.model = "tiny:latest"
    meter.shortened(3, 40)
    meter.end(200)
    assert value(metrics, "vllama_dropped_messages_total", model="tiny:latest") == 3
    assert value(metrics, "vllama_cut_tokens_total", model="tiny:latest") == 40


def test_latencies_fall_into_their_buckets():
    metrics = Metrics(Engines())
    first, _ = metrics.series("m")
    for seconds in (0.004, 0.005, 0.02, 500.0):
        first.observe(seconds)
    name = "vllama_time_to_first_token_seconds_bucket"
    assert [value(metrics, name, le=le) for le in ("0.005", "0.01", "0.025", "120.0", "+Inf")] == [2, 2, 3, 3, 4]
    assert value(metrics, "vllama_time_to_first_token_seconds_sum") == pytest.approx(500.029)


def test_a_request_without_a_model_names_none():
    metrics = Metrics(Engines())
    meter = Books(metrics).meter("/api/chat")
    meter.tokens()
    meter.end(404)
    assert value(metrics, "vllama_requests_total", model="", status="404") == 1


def test_engines_are_read_at_the_scrape():
    engine = Engine(phase="backoff", leases=2, waiting=3, restarts=1, size=1000, code="missing")
    metrics = Metrics(Engines((engine,)))
    assert value(metrics, "vllama_engine_state", state="backoff", model="tiny:latest") == 1
    assert value(metrics, "vllama_engine_state", state="ready") == 0
    assert value(metrics, "vllama_requests_waiting") == 3
    assert value(metrics, "vllama_engine_crashes_total") == 1
    assert value(metrics, "vllama_engine_code", state="missing") == 1
    assert value(metrics, "vllama_engine_code", state="failed") == 0
    engine.phase = "ready"
    assert value(metrics, "vllama_engine_state", state="ready") == 1


def test_a_load_is_measured_from_its_beginning_to_ready():
    metrics = Metrics(Engines())
    now = time.time()
    for phase, at in (("planning", 0), ("starting", 1), ("warming", 20), ("ready", 22)):
        metrics.take(EngineChanged(Engine(phase=phase, since=now + at)))
    assert value(metrics, "vllama_load_seconds_count") == 1
    assert value(metrics, "vllama_load_seconds_sum") == pytest.approx(22)


def test_starts_are_counted_by_how_they_got_their_code_and_wakings_are_none():
    metrics = Metrics(Engines())
    life = ("planning", "starting", "warming", "ready", "dozing", "asleep", "waking", "ready")
    for code in ("compiled", "loaded", "again", ""):
        for phase in life:
            metrics.take(EngineChanged(Engine(phase=phase, code_from=code if phase == "ready" else "")))
    for outcome in ("compiled", "loaded", "again"):
        assert value(metrics, "vllama_compiled_code_total", model="tiny:latest", outcome=outcome) == 1


def test_a_load_that_failed_is_not_measured():
    metrics = Metrics(Engines())
    for phase, at in (("planning", 0), ("broken", 5), ("ready", 9)):
        metrics.take(EngineChanged(Engine(phase=phase, since=at)))
    assert value(metrics, "vllama_load_seconds_count") is None


def test_two_instances_share_nothing():
    one, other = Metrics(Engines()), Metrics(Engines())
    Books(one).meter("/api/chat").end(200)
    assert value(other, "vllama_requests_total") is None


@pytest.mark.parametrize(
    ("route", "name"),
    [("/api/chat", "ollama"), ("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic"), ("/", "own")],
)
def test_the_route_reports_the_dialect(route, name):
    assert dialect(route) == name

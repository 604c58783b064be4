"""What the shipped Grafana dashboard shows.

The queries need no recording rules. ``$instance`` and ``$model`` are the dashboard's variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from parts import OF, ON, PHASES, Panel, Query, Row

_RATE: Final = "[$__rate_interval]"


def _quantiles(metric: str, wanted: Sequence[float]) -> list[Query]:
    buckets = f"sum by (le) (rate({metric}_bucket{{{OF}}}{_RATE}))"
    return [Query(f"histogram_quantile({share:g}, {buckets})", f"p{share * 100:g}") for share in wanted]


def _rate(metric: str, labels: str = OF, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{labels}}}{_RATE}))"


def _of_gpu(metric: str, more: str = "") -> Query:
    return Query(f"vllama_gpu_{metric}{{{ON}}}", f"{{{{instance}}}} GPU {{{{gpu}}}}{more}")


_REQUESTS: Final = "vllama_requests_total"
_GOOD, _WARN, _BAD = "green", "orange", "red"

ROWS: Final = (
    Row(
        "Now",
        (
            Panel(
                "Tokens per second", [Query(_rate("vllama_generated_tokens_total"))], "short", "stat", 4, "Generated."
            ),
            Panel("Requests per second", [Query(_rate(_REQUESTS))], "reqps", "stat", 4),
            Panel("Being answered", [Query(f"sum(vllama_requests_in_flight{{{ON}}})")], "short", "stat", 4),
            Panel(
                "Waiting",
                [Query(f"sum(vllama_requests_waiting{{{OF}}})")],
                "short",
                "stat",
                4,
                "Requests that wait for a model to load.",
                ((None, _GOOD), (1, _WARN), (100, _BAD)),
            ),
            Panel(
                "Engines ready",
                [Query(f'sum(vllama_engine_state{{{OF},state="ready"}})')],
                "short",
                "stat",
                4,
            ),
            Panel(
                "Failed",
                [
                    Query(
                        f'(sum(rate({_REQUESTS}{{{OF},status=~"5.."}}{_RATE})) or vector(0)) '
                        f"/ (sum(rate({_REQUESTS}{{{OF}}}{_RATE})) > 0)"
                    )
                ],
                "percentunit",
                "stat",
                4,
                "Share of the requests that were answered with 5xx.",
                ((None, _GOOD), (0.001, _WARN), (0.01, _BAD)),
            ),
        ),
    ),
    Row(
        "Speed",
        (
            Panel(
                "Time to first token",
                _quantiles("vllama_time_to_first_token_seconds", (0.5, 0.95, 0.99)),
                "s",
                about="From a request's head to its first token; loads and the queue included.",
            ),
            Panel(
                "Inter-token latency",
                _quantiles("vllama_inter_token_latency_seconds", (0.5, 0.95, 0.99)),
                "s",
                about="Between two reads of tokens of one answer.",
            ),
            Panel(
                "Whole requests",
                [
                    Query(
                        f"histogram_quantile(0.95, sum by (le, route) "
                        f"(rate(vllama_request_seconds_bucket{{{ON}}}{_RATE})))",
                        "p95 {{route}}",
                    )
                ],
                "s",
            ),
            Panel(
                "Generated tokens per second",
                [Query(_rate("vllama_generated_tokens_total", by="model"), "{{model}}")],
                stacked=True,
            ),
            Panel(
                "Prompt tokens per second",
                [Query(_rate("vllama_prompt_tokens_total", by="model"), "{{model}}")],
                stacked=True,
            ),
            Panel("Requests by status", [Query(_rate(_REQUESTS, by="status"), "{{status}}")], "reqps", stacked=True),
        ),
    ),
    Row(
        "Usage",
        (
            Panel(
                "Requests by key",
                [Query(_rate("vllama_usage_requests_total", by="key"), "{{key}}")],
                "reqps",
                about="By the name of the API key; none: without a key.",
                stacked=True,
            ),
            Panel(
                "Tokens per second by key",
                [Query(_rate("vllama_usage_tokens_total", f'{OF},kind!="cached"', "key"), "{{key}}")],
                about="Of prompts and answers. docs/usage.md has persons, days and costs.",
                stacked=True,
            ),
            Panel(
                "Tokens by key and model",
                [
                    Query(
                        f'sum by (key, model) (increase(vllama_usage_tokens_total{{{OF},kind!="cached"}}[$__range]))',
                        "{{key}} {{model}}",
                    )
                ],
                kind="bargauge",
                about="In the time that is shown.",
            ),
        ),
    ),
    Row(
        "Promises",
        (
            Panel(
                "Error budgets left",
                [Query(f"vllama_slo_budget_left{{{ON}}}", "{{slo}} {{objective}}")],
                "percentunit",
                "bargauge",
                8,
                "Of the slos of the configuration.",
                ((None, _BAD), (0.1, _WARN), (0.5, _GOOD)),
                maximum=1,
            ),
            Panel(
                "Burn rates",
                [Query(f'vllama_slo_burn_rate{{{ON},window="1h"}}', "{{slo}} {{objective}} 1h")],
                about="At 1 a budget lasts exactly for its period.",
            ),
            Panel(
                "Within the objective",
                [
                    Query(
                        f"1 - sum by (slo, objective) (rate(vllama_slo_bad_requests_total{{{ON}}}{_RATE})) "
                        f"/ (sum by (slo, objective) (rate(vllama_slo_requests_total{{{ON}}}{_RATE})) > 0)",
                        "{{slo}} {{objective}}",
                    )
                ],
                "percentunit",
                maximum=1,
            ),
        ),
    ),
    Row(
        "Engines",
        (
            Panel(
                "Phases",
                [
                    Query(
                        "max by (instance, model) ("
                        + " or ".join(
                            f'{number} * (vllama_engine_state{{{OF},state="{phase}"}} == 1)'
                            for phase, number in PHASES.items()
                            if number
                        )
                        + ")",
                        "{{model}}",
                    )
                ],
                kind="state-timeline",
                width=24,
            ),
            Panel(
                "KV cache used",
                [Query(f"max by (instance, model) (vllm:kv_cache_usage_perc{{{OF}}})", "{{model}}")],
                "percentunit",
                maximum=1,
            ),
            Panel(
                "Requests in engines",
                [
                    Query(f"sum by (model) (vllm:num_requests_running{{{OF}}})", "{{model}} computed"),
                    Query(f"sum by (model) (vllm:num_requests_waiting{{{OF}}})", "{{model}} waiting"),
                ],
            ),
            Panel(
                "Prompt tokens from the prefix cache",
                [
                    Query(
                        f"sum by (model) (rate(vllm:prefix_cache_hits_total{{{OF}}}{_RATE})) "
                        f"/ (sum by (model) (rate(vllm:prefix_cache_queries_total{{{OF}}}{_RATE})) > 0)",
                        "{{model}}",
                    )
                ],
                "percentunit",
                maximum=1,
            ),
            Panel("Waiting for a model", [Query(f"sum by (model) (vllama_requests_waiting{{{OF}}})", "{{model}}")]),
            Panel("Crashes", [Query(f"increase(vllama_engine_crashes_total{{{OF}}}[10m])", "{{model}}")]),
            Panel(
                "Load time",
                [
                    Query(
                        f"sum by (model) (vllama_load_seconds_sum{{{OF}}}) "
                        f"/ sum by (model) (vllama_load_seconds_count{{{OF}}})",
                        "{{model}}",
                    )
                ],
                "s",
                about="Mean since the service started: from the wish to load a model to its engine's first token.",
            ),
        ),
    ),
    Row(
        "Machine",
        (
            Panel(
                "Memory planned for engines",
                [Query(f"sum by (model) (vllama_engine_bytes{{{OF}}})", "{{model}}")],
                "bytes",
                stacked=True,
            ),
            Panel("Disks", [Query(f"vllama_disk_free_bytes{{{ON}}}", "{{directory}} free")], "bytes"),
            Panel("Connections", [Query(f"sum by (instance) (vllama_connections{{{ON}}})", "{{instance}}")]),
            Panel(
                "CPU of the front end",
                [Query(f'rate(process_cpu_seconds_total{{{ON},model=""}}{_RATE})', "{{instance}}")],
                "percentunit",
                about="1 is a whole core. The front end uses one core at most.",
            ),
            Panel(
                "Memory of the front end",
                [Query(f'process_resident_memory_bytes{{{ON},model=""}}', "{{instance}}")],
                "bytes",
            ),
            Panel(
                "Memory free",
                [
                    Query(f"vllama_memory_free_bytes{{{ON}}}", "free"),
                    Query(f"vllama_memory_total_bytes{{{ON}}}", "of"),
                ],
                "bytes",
            ),
            Panel("Memory of engines", [Query(f"vllama_engine_resident_bytes{{{OF}}}", "{{model}}")], "bytes"),
            Panel(
                "CPU of engines",
                [Query(f"rate(vllama_engine_cpu_seconds_total{{{OF}}}{_RATE})", "{{model}}")],
                "short",
                about="Cores.",
            ),
        ),
    ),
    Row(
        "Energy",
        (
            Panel(
                "Power",
                [Query(f"rate(vllama_energy_joules_total{{{ON}}}{_RATE})", "{{instance}} {{device}}")],
                "watt",
                stacked=True,
                about="Of each device that can be measured: docs/energy.md.",
            ),
            Panel("Idle power", [Query(f"vllama_idle_watts{{{ON}}}", "{{instance}} {{device}}")], "watt"),
            Panel(
                "Power of requests",
                [Query(_rate("vllama_request_joules_total", by="model"), "{{model}}")],
                "watt",
                stacked=True,
                about="Above idle.",
            ),
        ),
    ),
    Row(
        "GPUs",
        (
            Panel("Memory used", [_of_gpu("memory_used_bytes"), _of_gpu("memory_total_bytes", " of")], "bytes"),
            Panel("Memory of other programs", [_of_gpu("memory_other_bytes")], "bytes"),
            Panel(
                "Memory of engines on GPUs",
                [Query(f"vllama_engine_gpu_memory_bytes{{{OF}}}", "{{model}} on {{gpu}}")],
                "bytes",
                stacked=True,
            ),
            Panel("Utilization", [_of_gpu("utilization_ratio")], "percentunit", maximum=1),
            Panel("Power", [_of_gpu("power_watts")], "watt", stacked=True),
            Panel("Temperature", [_of_gpu("temperature_celsius")], "celsius"),
        ),
    ),
)

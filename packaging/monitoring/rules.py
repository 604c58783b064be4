"""The shipped recording and alert rules for Prometheus, as values: ``make.py`` writes them as YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_LATENCIES: Final = (("ttft", "time_to_first_token"), ("itl", "inter_token_latency"))


@dataclass(frozen=True)
class Recording:
    """A value that Prometheus computes all the time."""

    name: str
    expression: str


@dataclass(frozen=True)
class Alert:
    """Fires while ``level`` is beyond its bound for ``wait``."""

    name: str
    level: str
    """A query that returns something for everything that could be wrong, also while nothing is."""
    beyond: str
    """``> 0.9``"""
    wait: str
    severity: str
    summary: str
    todo: str
    unless: str = ""

    @property
    def expression(self) -> str:
        """The whole query."""
        return f"{self.level} {self.beyond}" + (f" unless {self.unless}" if self.unless else "")


RECORDINGS: Final = (
    Recording(
        "vllama_model:requests:rate5m", 'sum by (job, instance, model) (rate(vllama_requests_total{model!=""}[5m]))'
    ),
    Recording(
        "vllama_model:failures:ratio5m",
        '(sum by (job, instance, model) (rate(vllama_requests_total{model!="",status=~"5.."}[5m])) '
        "or 0 * vllama_model:requests:rate5m) / (vllama_model:requests:rate5m > 0)",
    ),
    Recording(
        "vllama_model:prompt_tokens:rate5m", "sum by (job, instance, model) (rate(vllama_prompt_tokens_total[5m]))"
    ),
    Recording(
        "vllama_model:generated_tokens:rate5m",
        "sum by (job, instance, model) (rate(vllama_generated_tokens_total[5m]))",
    ),
    *(
        Recording(
            f"vllama_model:{short}_seconds:p{quantile * 100:g}_5m",
            f"histogram_quantile({quantile:g}, sum by (job, instance, model, le) "
            f"(rate(vllama_{metric}_seconds_bucket[5m])))",
        )
        for short, metric in _LATENCIES
        for quantile in (0.5, 0.95)
    ),
    Recording("vllama_model:crashes:increase10m", "increase(vllama_engine_crashes_total[10m])"),
    Recording("vllama_model:kv_cache:ratio", "max by (job, instance, model) (vllm:kv_cache_usage_perc)"),
    Recording(
        "vllama:queue:ratio",
        "sum by (job, instance) (vllama_requests_waiting) / on (job, instance) vllama_requests_waiting_limit",
    ),
    Recording("vllama:disk_free:ratio", "vllama_disk_free_bytes / vllama_disk_size_bytes"),
)

_WITH_SLOTH: Final = 'on () slo:error_budget:ratio{sloth_service="vllama"}'
"""The rules of ``vllama slo rules`` have alerts of their own."""

ALERTS: Final = (
    Alert(
        "VllamaDown",
        'up{job="vllama"}',
        "== 0",
        "2m",
        "critical",
        "vLLama on {{ $labels.instance }} does not answer",
        "systemctl status vllama; vllama logs",
    ),
    Alert(
        "VllamaEngineDown",
        'max by (job, instance, model) (vllama_engine_state{state=~"backoff|broken"})',
        "== 1",
        "2m",
        "critical",
        "The engine of {{ $labels.model }} on {{ $labels.instance }} does not run",
        "'vllama ps' and 'vllama logs {{ $labels.model }}' show the cause and what to do.",
    ),
    Alert(
        "VllamaEngineCrashLoop",
        "vllama_model:crashes:increase10m",
        "> 2",
        "0m",
        "critical",
        "The engine of {{ $labels.model }} on {{ $labels.instance }} crashed several times within 10 minutes",
        "'vllama logs {{ $labels.model }}' shows why.",
    ),
    Alert(
        "VllamaRequestsFail",
        "vllama_model:failures:ratio5m",
        "> 0.05",
        "10m",
        "warning",
        "{{ $value | humanizePercentage }} of the requests to {{ $labels.model }} on {{ $labels.instance }} fail",
        "'vllama logs {{ $labels.model }}' shows why. 503 means: the queue is full or memory is short.",
    ),
    Alert(
        "VllamaQueueFull",
        "vllama:queue:ratio",
        "> 0.9",
        "1m",
        "warning",
        "Requests on {{ $labels.instance }} wait until the queue is nearly full; more get 503",
        "'vllama ps' shows what is being loaded. More memory, fewer models or server.max_queue help.",
    ),
    Alert(
        "VllamaKvCacheFull",
        "vllama_model:kv_cache:ratio",
        "> 0.95",
        "10m",
        "warning",
        "The KV cache of {{ $labels.model }} on {{ $labels.instance }} is full, so its requests wait for each other",
        "Raise kv_cache_memory or lower max_model_len of the model; 'vllama plan' shows what fits.",
    ),
    Alert(
        "VllamaTtftBurning",
        'max by (job, instance, slo) (vllama_slo_burning{objective="ttft",severity="page"})',
        "== 1",
        "0m",
        "critical",
        "Answers on {{ $labels.instance }} begin too late: the SLO {{ $labels.slo }} is at risk",
        "'vllama slo' shows what is left of the budget. Look at the queue, at loads and at the KV cache.",
        _WITH_SLOTH,
    ),
    Alert(
        "VllamaSuccessBurning",
        'max by (job, instance, slo) (vllama_slo_burning{objective="success",severity="page"})',
        "== 1",
        "0m",
        "critical",
        "Too many requests on {{ $labels.instance }} fail: the SLO {{ $labels.slo }} is at risk",
        "'vllama slo' shows what is left of the budget, 'vllama logs' the failures.",
        _WITH_SLOTH,
    ),
    Alert(
        "VllamaDiskFull",
        'vllama:disk_free:ratio{directory="state"}',
        "< 0.05",
        "10m",
        "warning",
        "The disk with the models of {{ $labels.instance }} has {{ $value | humanizePercentage }} left",
        "Delete models ('vllama list', 'vllama rm') or move them to another disk.",
    ),
    Alert(
        "VllamaUsageLost",
        "increase(vllama_usage_lost_total[15m])",
        "> 0",
        "0m",
        "warning",
        "{{ $labels.instance }} answers requests without recording their usage",
        "'vllama usage' says why: a full disk, or a file that is locked or broken.",
    ),
    Alert(
        "VllamaKeysBroken",
        "vllama_keys_files_broken",
        "> 0",
        "1m",
        "warning",
        "A file of API keys on {{ $labels.instance }} can't be read; changes of keys have no effect",
        "'vllama keys list' and 'vllama logs' say what is wrong with it.",
    ),
)


def recordings() -> dict[str, Any]:
    """The file of recording rules."""
    rules = [{"record": one.name, "expr": one.expression} for one in RECORDINGS]
    return {"groups": [{"name": "vllama-recordings", "rules": rules}]}


def alerts() -> dict[str, Any]:
    """The file of alerts."""
    rules = [
        {
            "alert": one.name,
            "expr": one.expression,
            "for": one.wait,
            "labels": {"severity": one.severity},
            "annotations": {"summary": one.summary, "description": one.todo},
        }
        for one in ALERTS
    ]
    return {"groups": [{"name": "vllama-alerts", "rules": rules}]}

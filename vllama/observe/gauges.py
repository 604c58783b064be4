"""What an engine's own metrics say of its work at one moment. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(
    r"^vllm:(num_requests_running|num_requests_waiting|kv_cache_usage_perc|prompt_tokens_total|generation_tokens_total)"
    r"(?:\{[^}\n]*\})? (\S+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Gauges:
    """Summed over the engine's cores, where it has several; None where it does not say."""

    running: int | None = None
    """Requests that it computes."""
    waiting: int | None = None
    """Requests that wait inside the engine."""
    kv_used: float | None = None
    """Share of the KV cache, 0 to 1; of several cores the fullest."""
    prompt_tokens: float | None = None
    """Since its start."""
    generated_tokens: float | None = None
    """Since its start."""


def read_gauges(text: str) -> Gauges:
    """From its Prometheus text; lines that can't be read count as missing."""
    found: dict[str, list[float]] = {}
    for name, value in _LINE.findall(text):
        try:
            number = float(value)
        except ValueError:
            continue
        if math.isfinite(number):
            found.setdefault(name, []).append(number)
    total = {name: sum(values) for name, values in found.items()}
    running, waiting = total.get("num_requests_running"), total.get("num_requests_waiting")
    return Gauges(
        running=None if running is None else int(running),
        waiting=None if waiting is None else int(waiting),
        kv_used=max(found["kv_cache_usage_perc"]) if "kv_cache_usage_perc" in found else None,
        prompt_tokens=total.get("prompt_tokens_total"),
        generated_tokens=total.get("generation_tokens_total"),
    )

"""A busy machine, as the API describes it; what views show is compared with these numbers."""

from __future__ import annotations

import math
import time
from typing import Any

GB = 1_000_000_000
GIB = 1 << 30
MARKUP = "acme/<img src=x onerror=alert(1)>:latest"
"""A model's name that is markup."""


def status(**more: Any) -> dict[str, Any]:
    """A machine with one GPU: one engine answers, one loads, one has failed."""
    now = time.time()
    ready = {
        "name": "qwen3:8b",
        "digest": "0" * 64,
        "phase": "ready",
        "since": now - 7200,
        "leases": 3,
        "waiting": 0,
        "restarts": 1,
        "size": 24 * GIB,
        "size_vram": 24 * GIB,
        "context_length": 32768,
        "kv_tokens": 88_000,
        "weights": 16 * GIB,
        "kv_cache": 8 * GIB,
        "kv_used": 0.42,
        "max_requests": 16,
        "running": 3,
        "tokens_per_second": 412.5,
        "expires_at": now + 290,
        "device": [0],
    }
    loading = {
        "name": "smollm2:135m",
        "digest": "1" * 64,
        "phase": "warming",
        "since": now - 9,
        "leases": 0,
        "waiting": 2,
        "restarts": 0,
        "stage": "compiling",
        "percent": 64,
        "device": [0],
        "weights": GIB,
    }
    failed = {
        "name": MARKUP,
        "digest": "2" * 64,
        "phase": "broken",
        "since": now - 60,
        "leases": 0,
        "waiting": 0,
        "restarts": 3,
        "cause": "the model needs 40 GiB, and 12 GiB are free. Use a smaller context.",
        "device": [0],
    }
    gpu = {
        "index": 0,
        "name": "NVIDIA H200",
        "total": 139 * GIB,
        "used": 31 * GIB,
        "free": 108 * GIB,
        "other": 3 * GIB,
        "utilization": 0.71,
        "power": 412.0,
        "temperature": 61,
    }
    memory = {"total": 128 * GIB, "used": 40 * GIB, "free": 88 * GIB, "engines": 6 * GIB}
    return {
        "version": "0.1.0",
        "engine_version": "0.32.1",
        "started": now - 90_000,
        "now": now,
        "state": "ready",
        "address": "http://box:11434",
        "machine": {"cores": 16, "memory": memory, "gpus": [gpu]},
        "engines": [ready, loading, failed],
        "waiting": [{"model": "smollm2:135m", "requests": 2, "why": "the model is loading"}],
        "notices": [],
        "may_manage": True,
        "keys": False,
        **more,
    }


def history() -> dict[str, Any]:
    """15 minutes, every 10 s."""
    now = time.time()
    return {"step": 10, "points": [point(now - 10 * (89 - n), n) for n in range(90)]}


def point(at: float, n: int) -> dict[str, Any]:
    """One of them; a quiet minute has no times."""
    wave = 1 + math.sin(n / 9)
    rates = {"tokens_per_second": 210 * wave, "requests_per_second": 2.5 * wave, "waiting": n % 4, "running": n % 7}
    times = {"ttft_p50": 0.12 + 0.05 * wave, "ttft_p95": 0.3 + 0.2 * wave, "itl_p50": 0.011 + 0.002 * wave}
    return {"at": at, **rates, **(times if not 40 <= n < 46 else {})}


def requests() -> dict[str, Any]:
    """One of each phase and outcome."""
    now = time.time()
    common = {"model": "qwen3:8b", "route": "/api/chat", "caller": "192.168.1.7", "key": "open-webui"}
    live = [
        {**common, "id": "a1", "began": now - 4, "phase": "decode", "seconds": 4.1, "ttft": 0.2, "waiting": 0.01}
        | {"prompt_tokens": 812, "generated_tokens": 190, "tokens_per_second": 46.3},
        {**common, "id": "a2", "began": now - 1, "phase": "waiting", "seconds": 1.2, "model": MARKUP},
    ]
    ended = [
        {**common, "id": f"b{n}", "began": now - 60 * n - 30, "seconds": 3.25, "ttft": 0.214, "waiting": 0.004}
        | {"prompt_tokens": 1204, "cached_tokens": 1024, "generated_tokens": 311, "tokens_per_second": 102.4}
        | {"status": 200, "outcome": outcome, "person": "ann@example.org"}
        for n, outcome in enumerate(("ok", "ok", "left", "refused", "failed", "cancelled"))
    ]
    return {"live": live, "ended": ended}


def usage(by: str = "model") -> dict[str, Any]:
    """A week, by one thing."""
    names = {"model": ["qwen3:8b", MARKUP], "key": ["open-webui", ""], "day": ["2026-11-30", "2026-11-29"]}
    names |= {"month": ["2026-11", "2026-10"], "person": [MARKUP, "ann@example.org"]}
    rows = [
        {by: name, "requests": 1234 // (n + 1), "failed": n, "prompt_tokens": 1_500_000, "cached_tokens": 900_000}
        | {"generated_tokens": 410_000, "engine_seconds": 5123.4, "joules": 1.9e6, "money": 3.21}
        for n, name in enumerate(names.get(by, ["ann@example.org"]))
    ]
    return {
        "since": time.time() - 7 * 86400,
        "until": time.time(),
        "by": [by],
        "rows": rows,
        "lost": 2,
        "currency": "EUR",
    }


def health() -> dict[str, Any]:
    """A warning, an error, a failure, an objective whose budget is used up, and one that is fine."""
    burn = {"5m": 0.4, "1h": 0.8, "6h": 1.1, "3d": 0.9}
    slo = {"name": "chat", "objective": "ttft", "target": 0.95, "threshold": 1.0, "over": 30 * 86400.0}
    return {
        "checks": [
            {"name": "engine", "state": "ok", "text": "vLLM 0.32.1"},
            {"name": "disk", "state": "warning", "text": "12 GB free for models", "hint": "Delete models."},
            {"name": "keys", "state": "error", "text": "the file of keys is broken", "hint": "vllama keys list"},
        ],
        "failures": [{"at": time.time() - 3600, "model": MARKUP, "cause": "out of memory"}],
        "slos": [
            {**slo, "requests": 12000, "good": 11640, "budget_left": 0.4, "burn": burn},
            {**slo, "objective": "success", "target": 0.999, "threshold": None, "requests": 12000, "good": 11976}
            | {"budget_left": -1.0, "burn": {**burn, "5m": 14.6}},
        ],
        "versions": {"vllama": "0.1.0", "engine": "0.32.1", "python": "3.14.0"},
    }


def tags() -> dict[str, Any]:
    """Two models, one of them with a name that is markup."""
    details = {"parameter_size": "8.2B", "quantization_level": "FP8"}
    return {
        "models": [
            {"name": "qwen3:8b", "size": 8_800_000_000, "details": details},
            {"name": MARKUP, "size": 141_000_000_000, "details": {**details, "parameter_size": "70.6B"}},
        ]
    }


def answers() -> dict[str, Any]:
    """What ``Scripted`` answers, by method and path."""
    return {
        "GET /vllama/history": history(),
        "GET /vllama/requests": requests(),
        "GET /vllama/usage": usage(),
        "GET /vllama/health": health(),
        "GET /api/tags": tags(),
        "POST /api/show": {"capabilities": ["completion", "thinking"]},
    }

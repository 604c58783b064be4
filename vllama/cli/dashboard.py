"""The lines of ``vllama top``. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from vllama.cli import format as fmt
from vllama.sizes import human_bytes

_BAR: Final = 20
_FAILED: Final = frozenset({"backoff", "broken"})
_ENGINES: Final = ("MODEL", "PHASE", "RUNNING", "WAITING", "KV CACHE", "TOKENS/S", "CONTEXT", "UNTIL")
_REQUESTS: Final = ("REQUEST", "MODEL", "PHASE", "SECONDS", "TOKENS", "CALLER")
_MOST: Final = 20
"""Requests that are listed; the oldest."""


def lines(status: Mapping[str, Any], live: list[Mapping[str, Any]], now: float) -> list[str]:
    """``status``: of ``/vllama/status``; ``live``: those of ``/vllama/requests``.

    ``now``: Unix seconds, for a service that does not say.
    """
    now = status.get("now", now)
    up = fmt.human_duration(max(0.0, now - status["started"]))
    engine = f", vLLM {status['engine_version']}" if "engine_version" in status else ""
    shown = [f"vLLama {status['version']}{engine}: {status['state']}, up {up}    (q quits)", *_machine(status)]
    shown += [f"! {notice}" for notice in status["notices"]]
    engines = status["engines"]
    shown += ["", *fmt.table(_ENGINES, [_engine(engine, now) for engine in engines])]
    failed = [engine for engine in engines if engine["phase"] in _FAILED and "cause" in engine]
    shown += [f"  {engine['name']}: {engine['cause']}" for engine in failed]
    if not engines:
        shown.append("no model is loaded")
    if live:
        shown += ["", *fmt.table(_REQUESTS, [_request(one) for one in live[:_MOST]])]
    if len(live) > _MOST:
        shown.append(f"and {len(live) - _MOST} more")
    return shown


def bar(share: float) -> str:
    """``[|||||     ]``; ``share`` from 0 to 1."""
    full = round(min(max(share, 0.0), 1.0) * _BAR)
    return f"[{'|' * full}{' ' * (_BAR - full)}]"


def _machine(status: Mapping[str, Any]) -> Iterator[str]:
    machine = status.get("machine")
    if machine is None:
        return
    memory = machine["memory"]
    engines = f", engines {human_bytes(memory['engines'])}" if memory["engines"] else ""
    yield f"{'RAM':<6}{_used(memory)}{engines}; {machine['cores']} cores"
    for gpu in machine["gpus"]:
        said = [gpu["name"]]
        if "utilization" in gpu:
            said.append(f"{gpu['utilization']:.0%} busy")
        if "power" in gpu:
            said.append(f"{gpu['power']:.0f} W")
        if "temperature" in gpu:
            said.append(f"{gpu['temperature']:.0f} °C")
        yield f"{'GPU ' + str(gpu['index']):<6}{_used(gpu)}; {', '.join(said)}"


def _used(memory: Mapping[str, Any]) -> str:
    total = memory["total"] or 1
    return f"{bar(memory['used'] / total)} {human_bytes(memory['used'])} of {human_bytes(memory['total'])}"


def _engine(engine: Mapping[str, Any], now: float) -> list[str]:
    phase = str(engine.get("stage") or engine["phase"]) if engine["phase"] != "ready" else "ready"
    if "percent" in engine:
        phase = f"{bar(engine['percent'] / 100)} {phase}"
    return [
        engine["name"],
        phase,
        _running(engine),
        f"{engine['waiting']:.0f}",
        _kv_cache(engine),
        f"{engine['tokens_per_second']:.1f}" if "tokens_per_second" in engine else "-",
        str(engine.get("context_length", "-")),
        _until(engine, now),
    ]


def _running(engine: Mapping[str, Any]) -> str:
    """``3 of 64``."""
    most = f" of {engine['max_requests']}" if "max_requests" in engine else ""
    return f"{engine.get('running', engine['leases']):.0f}{most}"


def _kv_cache(engine: Mapping[str, Any]) -> str:
    """``25% of 2 GB``."""
    size = human_bytes(engine["kv_cache"]) if "kv_cache" in engine else ""
    used = f"{engine['kv_used']:.0%}" if "kv_used" in engine else ""
    return " of ".join(filter(None, (used, size))) or "-"


def _until(engine: Mapping[str, Any], now: float) -> str:
    if "expires_at" not in engine:
        return "-"
    return "Forever" if engine["expires_at"] is None else fmt.until(engine["expires_at"], now)


def _request(one: Mapping[str, Any]) -> list[str]:
    return [
        str(one["id"])[:16],
        one["model"],
        one["phase"],
        f"{one['seconds']:.1f}",
        str(one.get("generated_tokens", "-")),
        str(one.get("key") or one["caller"]),
    ]

"""Turns what an engine's log reports about its memory into figures for the next plan. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vllama.fit.plan import Plan
from vllama.fit.settings import EffectiveSettings
from vllama.fit.sums import ReportedMemory

_EXACT: Final = 1 << 30
"""Bytes. The log rounds to 10 MiB: a smaller figure is less exact than the estimate."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What an engine was planned with; reading its log needs it."""

    key: str
    """Names the measurement (``measurements.plan_as_measured``)."""
    context: int
    kv_cache: int
    """Bytes that the plan gave to the KV cache; 0: it takes what is left of ``share``."""
    share: int | None
    """Bytes of one GPU that the engine may use in all; None where its KV cache has a size of its own, on a CPU,
    and where the GPU's size is unknown."""


def basis_of(key: str, plan: Plan, settings: EffectiveSettings) -> Basis:
    """Of an engine that is started with ``settings``, which ``plan`` led to."""
    kv_cache = settings.values.kv_cache_memory
    share = None
    if kv_cache is None and plan.place.on_gpu and plan.place.total:
        share = int(plan.place.total * (settings.values.gpu_memory_utilization or 0))
    return Basis(key, settings.context, kv_cache or 0, share)


def measured(basis: Basis, *, weights: int, kv_memory: int, kv_tokens: int) -> ReportedMemory | None:
    """What the log says, in bytes and tokens, as far as it is exact enough; None if nothing is."""
    kv, overhead = basis.kv_cache, 0
    if basis.share is not None and weights and kv_memory:
        kv = kv_memory if kv_memory >= _EXACT else 0
        overhead = max(basis.share - weights - kv_memory, 0)
    request = kv * basis.context // kv_tokens if kv_tokens else 0
    exact = weights if weights >= _EXACT else 0
    if not (exact or overhead or request):
        return None
    return ReportedMemory(exact, overhead, request, basis.context if request else 0)

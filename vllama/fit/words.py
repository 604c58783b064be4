"""Describes a plan's memory in plain words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from vllama.fit.alternatives import Alternative
from vllama.fit.memory import MemoryEstimate
from vllama.fit.places import Place
from vllama.fit.plan import gib, memory, tokens


def too_big(need: MemoryEstimate, place: Place) -> str:
    """Ollama's sentence, with the sum that it is about."""
    kind = "GPU" if place.on_gpu else "system"
    free = gib(max(place.free, 0) * place.share)
    return f"model requires more {kind} memory ({gib(need.total)} GiB) than is available ({free} GiB)"


def parts_of(need: MemoryEstimate) -> str:
    """``weights 14.9 GiB, KV cache 1.0 GiB, working memory 1.3 GiB``."""
    cache = f"KV cache {memory(need.kv_cache)}, " if need.kv_cache else ""
    return f"weights {memory(need.weights)}, {cache}working memory {memory(need.overhead)}"


def hint_of(need: MemoryEstimate, others: Sequence[Alternative]) -> str:
    """The sum's parts, and what would fit."""
    if not others:
        return f"{parts_of(need)}; a smaller model would fit"
    fitting = "; ".join(
        f"{other.text} ({gib(other.plan.settings.estimate.total)} GiB, {tokens(other.plan.settings.context)} context)"
        for other in others
    )
    return f"{parts_of(need)}; what would fit: {fitting}"

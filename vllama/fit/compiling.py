"""Decides whether an engine computes with compiled code, and from which load on. Pure.

vLLM compiles a model the first time that it is loaded, which takes a CPU one to two minutes. Eager engines are ready
in a fraction of it and are somewhat slower. So on a CPU the first load is eager and the code is made when the machine
is idle. GPUs have their code within the load: it takes them less time, and without CUDA graphs they are several times
slower.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vllama.config.schema import CompileMode
from vllama.fit.hardware import Hardware
from vllama.fit.settings import EffectiveSettings
from vllama.models.model import Task

FIRST: Final = "the first load does not wait for compiled code"
_BY_HAND: Final = ("--enforce-eager", "--compilation-config", "-O", "-cc")
"""Flags with which a person decides what is compiled."""
_MIB: Final = 1 << 20


def may_be_eager_first(settings: EffectiveSettings, task: Task, hardware: Hardware, mode: CompileMode) -> bool:
    """Whether the model loads eagerly as long as its compiled code is missing. A written ``enforce_eager`` decides."""
    values = settings.values
    by_hand = any(flag.startswith(_BY_HAND) for flag in values.extra_args) or "VLLM_USE_AOT_COMPILE" in values.env
    return (
        mode == "auto"
        and hardware.kind == "cpu"
        and task == "generate"
        and values.enforce_eager is None
        and not by_hand
    )


def loads(settings: EffectiveSettings, *, eager_first: bool, has_code: bool) -> str:
    """What the first and the next load do, in plain words."""
    if settings.values.enforce_eager:
        return "loads eagerly, without compiled code"
    if has_code:
        return "loads with compiled code, which is in the cache"
    if eager_first:
        return "the first load is eager; the model is compiled when the machine is idle, and the next load uses that"
    return "the first load compiles, which takes a minute or more; the next loads use that"


def without_code(settings: EffectiveSettings) -> EffectiveSettings:
    """The same, computed eagerly; it takes as much memory as the compiled engine."""
    values = settings.values.model_copy(update={"enforce_eager": True})
    note = "eager, because there is no compiled code yet; it is made while the machine is idle"
    return replace(
        settings,
        values=values,
        origins={**settings.origins, "enforce_eager": f"chosen: {FIRST}"},
        notes=(*settings.notes, note),
    )


def for_compiling(settings: EffectiveSettings, requests: float) -> EffectiveSettings:
    """The same with the smallest KV cache: it gets no requests. ``requests``: how many would fill the planned one."""
    kv = settings.estimate.kv_cache
    least = min(kv, -(-int(kv / requests) // _MIB) * _MIB + 64 * _MIB) if requests else kv
    values = settings.values.model_copy(update={"kv_cache_memory": least})
    return replace(settings, values=values, estimate=replace(settings.estimate, kv_cache=least), notes=())

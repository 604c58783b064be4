"""Plans whether a model fits into memory, where, and with which settings. Pure.

One request of the whole context must fit; ``fit.kv_cache`` decides how much more KV cache an engine gets. What does not
fit next to the engines that are loaded is ``Missing`` bytes; what does not fit at all is a ``Refusal``. After a start
that ran out of memory the next ``attempt`` needs less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vllama.config.schema import Settings
from vllama.fit import kv_cache
from vllama.fit.hardware import Hardware
from vllama.fit.kv_cache import KvCache
from vllama.fit.memory import GIB, MemoryEstimate
from vllama.fit.places import Place, find_place
from vllama.fit.settings import EffectiveSettings, WantedSettings
from vllama.fit.sums import ReportedMemory, Sums
from vllama.fit.workers import needs_workers
from vllama.models.model import Facts, Task

_MIB: Final = 1 << 20
_DEFAULT_UTILIZATION: Final = 0.92
_SMALLEST_CONTEXT: Final = 256
"""Tokens; with less a model is of no use."""
USUAL_CONTEXT: Final = 8192
"""The least context of a model with ``max_model_len: auto``, if the machine has room; more only if memory is free."""
_SHORT_CHAT: Final = 512
"""Tokens of a typical chat: the plan reports how many of those have room."""
_NEARLY: Final = 0.1
"""A KV cache of whole blocks for four chats holds 3.96 of them; people read that as four."""
_TOKENS_OF_A_SEQUENCE: Final = 128
"""Each request needs room for this many tokens: more requests at once would push each other out of the KV cache."""
_NO_KV: Final = 256 * _MIB
"""Encoders keep no KV cache, but without a size vLLM would insist on 92 % of the machine being free."""

# The part of the first plan's KV cache that an attempt asks for, and the part that one request may fill: the context
# shrinks faster, so that an overhead larger than estimated finds room, too.
_KV_PARTS: Final = (1.0, 0.75, 0.5, 0.4)
_REQUEST_PARTS: Final = (1.0, 0.5, 0.25, 0.125)
GENTLER_PLANS: Final = len(_KV_PARTS) - 1
"""After this many gentler plans the waiting requests get the cause as their error."""


@dataclass(frozen=True, slots=True)
class Plan:
    """It fits, with these settings."""

    settings: EffectiveSettings
    place: Place
    requests: float
    """How many requests of the whole context have room at once; 0 without a KV cache."""
    task: Task
    decided: str = ""
    """What decided the size of the KV cache: a setting's name, with its value where it was chosen."""

    @property
    def sum(self) -> str:
        """``14.2 of 22.1 GiB: about 12 chats at once with 8k context``."""
        text = f"{gib(self.settings.estimate.total)} of {gib(self.place.free * self.place.share)} GiB"
        if not self.requests:
            return text
        noun = "chat" if self.task == "generate" else "text"
        count = f"about {self.requests:.0f} {noun}s" if self.requests >= 1.5 else f"one {noun}"
        return f"{text}: {count} at once with {tokens(self.settings.context)} context"

    @property
    def chats(self) -> str:
        """``KV cache 0.7 GiB, by kv_cache_chats 4: 4 chats of 8k tokens at once, or 64 of 512``; empty without one."""
        context = self.settings.context
        whole = int(self.requests + _NEARLY)
        count = f"{whole} chats" if whole > 1 else "one chat"
        size = memory(self.settings.estimate.kv_cache)
        text = (
            f"KV cache {size}, by {self.decided}: {count} of {tokens(context)} tokens at once" if self.requests else ""
        )
        short = self.requests * context / _SHORT_CHAT
        return f"{text}, or {short:.0f} of {_SHORT_CHAT}" if text and context > _SHORT_CHAT else text


@dataclass(frozen=True, slots=True)
class Missing:
    """It would fit if this many more bytes were free."""

    bytes: int
    need: MemoryEstimate
    place: Place


@dataclass(frozen=True, slots=True)
class Refusal:
    """It does not fit, even if no other engine were loaded."""

    need: MemoryEstimate
    """With a short context."""
    place: Place
    context: int
    """Tokens that ``need`` counts."""


def plan(
    facts: Facts,
    wanted: WantedSettings,
    hardware: Hardware,
    *,
    measured: ReportedMemory | None = None,
    attempt: int = 0,
) -> Plan | Missing | Refusal:
    """Choose context, KV cache, sequences, GPUs. ``attempt``: plans before this one that ran out of memory."""
    asked = wanted.values["max_model_len"]
    limit: int = facts.context_length if asked == "auto" else asked
    written = wanted.values["kv_cache_memory"] if wanted.written("kv_cache_memory") else 0
    best, rank = None, (False, -1)
    for values, place in _variants(facts, wanted, hardware):
        sums = Sums(facts, values, place, measured, workers=needs_workers(values, wanted.written))
        longest = sums.longest(place.reachable - sums.fixed, limit)
        holds = sums.fixed + written <= place.reachable
        if (holds, longest) > rank:
            best, rank = sums, (holds, longest)
        if holds and longest >= (limit if place.on_gpu else min(limit, USUAL_CONTEXT)):
            break
    context = rank[1]
    if best is None:  # the driver reports no memory: vLLM will find out itself
        return _unseen(facts, wanted, limit)
    if context < min(_SMALLEST_CONTEXT, limit):
        return _refusal(best, limit)
    room = best.place.free - best.fixed
    if asked == "auto":
        context = max(best.longest(kv_cache.share_of(room, best.values), limit), min(context, USUAL_CONTEXT))
    cache = kv_cache.size(best, context, room, wanted.written)
    if cache.size < best.one(context):
        context = best.longest(cache.size, context)
        if context < min(_SMALLEST_CONTEXT, limit):
            return _refusal(best, limit)
    need = best.fixed + (cache.size if cache.written else best.one(context))
    if need > best.place.reachable:
        return _refusal(best, context, cache.size)
    if need > best.place.free:
        missing = (need - best.place.free) * best.place.share
        return Missing(missing, best.estimate(need - best.fixed), best.place)
    if attempt:
        best, kv, context = _gentler(best, cache.size, context, attempt)
        cache = replace(cache, size=kv, by="a gentler plan")
    return _settled(best, wanted, cache, context=context, limit=limit, attempt=attempt)


def _refusal(sums: Sums, context: int, kv: int = 0) -> Refusal:
    """``kv``: the KV cache that was asked for; else that of a usual context."""
    usual = min(context, USUAL_CONTEXT)
    return Refusal(sums.estimate(kv or sums.one(usual)), sums.place, usual)


def _variants(facts: Facts, wanted: WantedSettings, hardware: Hardware) -> Iterator[tuple[Mapping[str, Any], Place]]:
    """What may be tried, best first: the first with which the whole context fits is taken."""
    values = wanted.values
    cap = values.get("gpu_memory_utilization", _DEFAULT_UTILIZATION)
    if hardware.kind == "cpu":
        place = find_place(hardware, share=1, cap=cap)
        yield values, place
        if values.get("dtype") == "float32" and not wanted.written("dtype") and not facts.rounds_badly:
            yield {**values, "dtype": "bfloat16"}, place
        return
    if not hardware.gpus:
        return
    small = "kv_cache_dtype" not in values and hardware.fp8 and not facts.attention.latent
    for share in _shares(facts, wanted, hardware):
        place = find_place(hardware, share=share, cap=cap)
        spread = values if share == 1 else {**values, "tensor_parallel_size": share}
        yield spread, place
        if small and facts.task == "generate":
            yield {**spread, "kv_cache_dtype": "fp8"}, place


def _shares(facts: Facts, wanted: WantedSettings, hardware: Hardware) -> Iterator[int]:
    """Over how many GPUs: as a person says, else 1, 2, 4 ... as the heads can be divided."""
    if "tensor_parallel_size" in wanted.values:
        yield wanted.values["tensor_parallel_size"]
        return
    heads = facts.details.get("attention.head_count", 0)
    share = 1
    while share <= len(hardware.gpus) and (share == 1 or (isinstance(heads, int) and heads and heads % share == 0)):
        yield share
        share *= 2


def _gentler(sums: Sums, kv: int, context: int, attempt: int) -> tuple[Sums, int, int]:
    """Less KV cache, then a smaller context, at last no graphs: each attempt needs less than the one before."""
    step = min(attempt, GENTLER_PLANS)
    less = int(kv * _KV_PARTS[step]) // _MIB * _MIB
    shorter = sums.longest(int(kv * _REQUEST_PARTS[step]), context)
    if shorter < min(_SMALLEST_CONTEXT, context):
        shorter = min(_SMALLEST_CONTEXT, context)
        less = min(kv, max(less, sums.one(shorter)))
    return (sums.eager() if step == GENTLER_PLANS else sums), less, shorter


def _settled(sums: Sums, wanted: WantedSettings, cache: KvCache, *, context: int, limit: int, attempt: int) -> Plan:
    values, origins, notes, place = sums.values, dict(wanted.origins), list(wanted.notes), sums.place
    kv = cache.size

    def choose(key: str, value: Any, why: str) -> None:
        values[key] = value
        origins[key] = f"chosen: {why}"

    if context < limit:
        notes.append(f"context lowered from {limit} to {context} tokens: the KV cache has {kv / GIB:.1f} GiB")
        choose("max_model_len", context, "what memory allows")
    else:
        values["max_model_len"] = context
    for key, why in (
        ("kv_cache_dtype", "a KV cache in 8 bits leaves room for the context"),
        ("tensor_parallel_size", "one GPU is too small"),
    ):
        if key in values and key not in origins:
            notes.append(f"{key} {values[key]}: {why}")
            choose(key, values[key], why)
    if values.get("dtype") != wanted.values.get("dtype"):
        notes.append("dtype bfloat16: slower on this CPU than float32, for which there is no room")
        choose("dtype", values["dtype"], "float32 would need twice the memory")
    if attempt:
        notes.append(f"a gentler plan, number {attempt}, because the one before ran out of memory")
        if values.get("enforce_eager") and "enforce_eager" not in wanted.values:
            choose("enforce_eager", value=True, why="graphs need memory")
    if place.on_gpu:
        share = min(1.0, -(-(sums.fixed + kv) * 10**5 // place.total) / 10**5)
        by_hand = wanted.written("gpu_memory_utilization") and wanted.written("kv_cache_memory")
        if share != values.get("gpu_memory_utilization") and not by_hand:
            choose("gpu_memory_utilization", share, "what it needs and no more")
        if "kv_cache_memory" in values and attempt:
            choose("kv_cache_memory", kv, "a gentler plan")
    elif attempt or not wanted.written("kv_cache_memory"):
        choose("kv_cache_memory", kv or _NO_KV, f"by {cache.by}" if cache.by else "an encoder keeps none")
    request = sums.request(context)
    requests = max(kv - sums.block, 0) / request if request else 0.0
    most = max(1, int(requests * context) // _TOKENS_OF_A_SEQUENCE)
    if (
        requests and not wanted.written("max_num_seqs") and values.get("max_num_seqs", 0) > most * 9 // 8
    ):  # a little more does no harm, and keeps the compiled code
        choose("max_num_seqs", most, "more would find no room in the KV cache")
    effective = EffectiveSettings(
        size_class=wanted.size_class,
        gpu_class=wanted.gpu_class,
        values=Settings.model_validate(values),
        estimate=sums.estimate(kv),
        origins=origins,
        notes=tuple(notes),
        gpus=place.gpus,
    )
    return Plan(effective, place, requests, sums.facts.task, cache.by)


def _unseen(facts: Facts, wanted: WantedSettings, limit: int) -> Plan:
    """For GPUs that can't be looked at: the settings as they are."""
    place = Place((), 0, 0, 0, 1)
    sums = Sums(facts, wanted.values, place, None, workers=needs_workers(wanted.values, wanted.written))
    settings = EffectiveSettings(
        size_class=wanted.size_class,
        gpu_class=wanted.gpu_class,
        values=Settings.model_validate({**wanted.values, "max_model_len": limit}),
        estimate=sums.estimate(0),
        origins=wanted.origins,
        notes=(*wanted.notes, "the GPU's memory can't be read: nothing is planned"),
    )
    return Plan(settings, place, 0.0, facts.task)


def gib(size: int) -> str:
    """Bytes as GiB with one digit after the point."""
    return f"{size / GIB:.1f}"


def memory(size: int) -> str:
    """Bytes with their unit: ``14.9 GiB``; ``4.6 MiB`` where GiB would say next to nothing."""
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 or not size else f"{size / (1 << 20):.1f} MiB"


def tokens(count: int) -> str:
    """``8k`` for 8192; other numbers as they are."""
    return f"{count // 1024}k" if count >= 1024 and count % 1024 == 0 else str(count)

"""Decides how large an engine's KV cache is. Pure.

The rule: it has room for ``kv_cache_chats`` chats of the whole context, takes at most ``kv_cache_share`` of the memory
that is free next to the weights, and always has room for one chat. The rest is left to further models and to other
programs. A person's ``kv_cache_memory`` or ``gpu_memory_utilization`` replaces the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vllama.fit.hardware import Hardware
from vllama.fit.sums import DEFAULT_SEQUENCES, Sums

_MIB: Final = 1 << 20
_FULL_AT_ONCE: Final = 8
"""One of this many requests is assumed to fill its context."""
_CHATS_PER_CORE: Final = 2
_CHAT: Final = 8192
"""Tokens of a chat. A CPU can't serve more than two chats of this length for each core in useful time."""
_RAM_SHARE: Final = 0.25
"""RAM is shared: this leaves room for three more models like this one."""
_SHARED_GPU: Final = 0.5
_COMFORT: Final = 256 * _MIB
"""A KV cache is not made smaller than this to save memory: prompts that are kept in it are not computed again."""


@dataclass(frozen=True, slots=True)
class KvCache:
    """A size, and what decided it."""

    size: int
    """Bytes on one device."""
    by: str
    """A setting's name, with its value where it was chosen."""
    written: bool = False
    """A person wrote it."""


def defaults(values: Mapping[str, Any], hardware: Hardware, longest: int, models: int) -> dict[str, tuple[Any, str]]:
    """``kv_cache_chats`` and ``kv_cache_share`` where ``values`` lacks them, each with the reason.

    ``longest``: the model's own context in tokens; ``models``: how many are configured.
    """
    found: dict[str, tuple[Any, str]] = {}
    chats = max(1, values.get("max_num_seqs", DEFAULT_SEQUENCES) // _FULL_AT_ONCE)
    written = values.get("max_model_len", "auto")
    context = longest if written == "auto" else min(written, longest)
    if "kv_cache_chats" not in values:
        times = max(1, _CHAT // context)
        few = _CHATS_PER_CORE * len(hardware.computing) * times
        if hardware.kind == "cpu" and few < chats:
            why = "two for each core" if times == 1 else "two of 8k tokens for each core"
            found["kv_cache_chats"] = (few, why)
        else:
            found["kv_cache_chats"] = (chats, "an eighth of max_num_seqs")
    if "kv_cache_share" not in values:
        if hardware.kind == "cpu":
            found["kv_cache_share"] = (_RAM_SHARE, "other models and programs need memory, too")
        elif models > 1:
            found["kv_cache_share"] = (_SHARED_GPU, "several models are configured")
        elif any(gpu.display for gpu in hardware.gpus):
            found["kv_cache_share"] = (_SHARED_GPU, "the GPU drives a display")
        else:
            found["kv_cache_share"] = (1.0, "the GPU is for this model alone")
    return found


def share_of(room: int, values: Mapping[str, Any]) -> int:
    """What of ``room``, the bytes that are free next to the weights, the KV cache may take."""
    return int(room * values.get("kv_cache_share", 1.0))


def size(sums: Sums, context: int, room: int, written: Callable[[str], bool]) -> KvCache:
    """The KV cache on each device; size 0: the model keeps none.

    ``room``: bytes that are free there next to the weights; ``written``: whether a person set that setting.
    """
    values, one = sums.values, sums.one(context)
    if written("kv_cache_memory"):
        return KvCache(values["kv_cache_memory"], "kv_cache_memory", written=True)
    if sums.place.on_gpu and written("gpu_memory_utilization"):
        whole = min(int(sums.place.total * values["gpu_memory_utilization"]), sums.place.reachable)
        return KvCache(whole - sums.fixed, "gpu_memory_utilization", written=True)
    if not one:
        return KvCache(0, "")
    chats: int = values["kv_cache_chats"]
    choices = [KvCache(sums.request(context) * chats + sums.block, f"kv_cache_chats {chats}")]
    if choices[0].size < _COMFORT:
        choices = [KvCache(_COMFORT, "the smallest size")]
    choices.append(KvCache(share_of(room, values), f"kv_cache_share {values['kv_cache_share']:g}"))
    found = min(choices, key=lambda choice: choice.size)
    if found.size < one:
        return KvCache(one, "max_model_len, one chat of which must fit")
    return KvCache(found.size // _MIB * _MIB, found.by)

"""How else a model could be served: other contexts, other precisions, more GPUs. Pure.

For people who are refused, or who choose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from vllama.fit.hardware import Hardware
from vllama.fit.plan import Plan, plan, tokens
from vllama.fit.settings import WantedSettings
from vllama.models.model import Facts

_PRECISIONS: Final = (("8-bit weights (FP8)", 1.05), ("4-bit weights (AWQ, GPTQ)", 0.6))
"""Bytes of a parameter; quantised checkpoints keep embeddings and scales in 16 bits."""
_CONTEXTS: Final = (4096, 8192, 16384, 32768, 131072)
_EIGHT_BITS_FROM: Final = (8, 0)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way to serve the model that would fit."""

    text: str
    """``8-bit weights (FP8)``, ``context of 32k``."""
    plan: Plan
    emptied: bool = False
    """It fits only when the other engines are unloaded."""


def alternatives(facts: Facts, wanted: WantedSettings, hardware: Hardware) -> tuple[Alternative, ...]:
    """Everything that would fit here, or on nearly this machine; beside what is loaded, if it can."""
    found = []
    for text, other, settings, machine in _ideas(facts, wanted, hardware):
        answer, emptied = plan(other, settings, machine), False
        if not isinstance(answer, Plan):
            answer, emptied = plan(other, settings, machine.emptied()), True
        if isinstance(answer, Plan) and (machine is hardware or answer.place.share > len(hardware.gpus)):
            found.append(Alternative(text, answer, emptied))
    return tuple(found)


def _ideas(
    facts: Facts, wanted: WantedSettings, hardware: Hardware
) -> Iterator[tuple[str, Facts, WantedSettings, Hardware]]:
    if facts.attention.full_layers + facts.attention.window_layers:
        for context in _CONTEXTS:
            if context <= facts.context_length and context != wanted.values["max_model_len"]:
                yield f"context of {tokens(context)}", facts, _with(wanted, max_model_len=context), hardware
        if "kv_cache_dtype" not in wanted.values and hardware.gpus and hardware.fp8:
            yield "KV cache in 8 bits", facts, _with(wanted, kv_cache_dtype="fp8"), hardware
    if facts.dtype and facts.task == "generate" and "quantization" not in wanted.values:
        for text, width in _PRECISIONS[0 if _unpacks_eight_bits(hardware) else 1 :]:
            smaller = replace(facts, weight_bytes=int(facts.parameter_count * width), dtype="")
            yield text, smaller, wanted, hardware
    if hardware.gpus:
        last = max(gpu.index for gpu in hardware.gpus)
        more = tuple(replace(gpu, index=gpu.index + last + 1) for gpu in hardware.gpus)
        count = 2 * len(hardware.gpus)
        yield f"{count} such GPUs", facts, wanted, replace(hardware, gpus=(*hardware.gpus, *more))


def _with(wanted: WantedSettings, **values: Any) -> WantedSettings:
    return replace(
        wanted,
        values={**wanted.values, **values},
        origins={**wanted.origins, **dict.fromkeys(values, "chosen: an alternative")},
    )


def _unpacks_eight_bits(hardware: Hardware) -> bool:
    """The CPU build computes with 4-bit weights, not with 8-bit floats; nor do GPUs before Ampere."""
    return bool(hardware.gpus) and all(
        gpu.capability is None or gpu.capability >= _EIGHT_BITS_FROM for gpu in hardware.gpus
    )

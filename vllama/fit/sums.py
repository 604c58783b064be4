"""Adds up the memory that a model with certain settings needs at a place. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vllama.fit.memory import (
    MemoryEstimate,
    kv_bytes_per_block,
    kv_bytes_per_request,
    largest_context,
    overhead_bytes,
    weight_bytes,
)
from vllama.fit.places import Place
from vllama.models.model import Facts

DEFAULT_SEQUENCES: Final = 256
"""vLLM's ``--max-num-seqs`` on most GPUs."""
_DEFAULT_BATCHED_TOKENS: Final = 2048
_CPU_BLOCK: Final = 128
_GPU_BLOCK: Final = 16
_MIB: Final = 1 << 20
_PER_GPU: Final = 512 * _MIB
"""What every GPU of several needs for speaking with the others."""


@dataclass(frozen=True, slots=True)
class ReportedMemory:
    """What an engine with these flags reported of itself, per device; 0: not reported."""

    weights: int = 0
    overhead: int = 0
    """Everything that is neither weights nor KV cache."""
    kv_request: int = 0
    """Bytes of one request of ``context`` tokens."""
    context: int = 0


class Sums:
    """The memory that a model with certain settings needs at a place; bytes of one device.

    ``workers``: see ``fit.workers``.
    """

    def __init__(
        self, facts: Facts, values: Mapping[str, Any], place: Place, measured: ReportedMemory | None, *, workers: bool
    ) -> None:
        self.facts = facts
        self._workers = workers
        self.values = dict(values)
        self.place = place
        self._measured = measured
        batched = values.get("max_num_batched_tokens", _DEFAULT_BATCHED_TOKENS)
        self._shape: dict[str, int] = {
            "tensor_parallel": values.get("tensor_parallel_size", 1) if place.on_gpu else 1,
            "block": _GPU_BLOCK if place.on_gpu else _CPU_BLOCK,
        }
        self._in_flight: int = batched * 2 if place.on_gpu else batched
        dtype: str | None = values.get("dtype")
        kv_dtype = values.get("kv_cache_dtype")
        self._kv_dtype: str | None = dtype if kv_dtype in {None, "auto"} else kv_dtype
        loaded = weight_bytes(facts, dtype, values.get("quantization"))
        self.weights = -(-loaded // place.share)
        self.overhead = overhead_bytes(
            facts,
            on_gpu=place.on_gpu,
            max_num_batched_tokens=batched,
            max_num_seqs=values.get("max_num_seqs", DEFAULT_SEQUENCES),
            eager=bool(values.get("enforce_eager")),
            dtype=dtype,
            workers=workers,
        ) + (_PER_GPU if place.share > 1 else 0)
        self._factor = 1.0
        if measured is not None:
            self.weights = measured.weights or self.weights
            self.overhead = measured.overhead or self.overhead
            if measured.context and (predicted := self.request(measured.context)):
                self._factor = measured.kv_request / predicted

    @property
    def fixed(self) -> int:
        """All but the KV cache."""
        return self.weights + self.overhead

    @property
    def block(self) -> int:
        """One block of the KV cache: vLLM holds one back."""
        return kv_bytes_per_block(self.facts.attention, self._kv_dtype, **self._shape)

    def request(self, context: int) -> int:
        """The KV cache of one request."""
        found = kv_bytes_per_request(
            self.facts.attention, context, self._kv_dtype, in_flight=self._in_flight, **self._shape
        )
        return int(found * self._factor)

    def one(self, context: int) -> int:
        """The smallest KV cache for that context, in whole MiB."""
        request = self.request(context)
        return -(-(request + self.block) // _MIB) * _MIB if request else 0

    def longest(self, budget: int, wanted: int) -> int:
        """The longest context up to ``wanted`` of which one request fits into ``budget``."""
        if budget >= self.one(wanted):
            return wanted
        whole = int((budget - _MIB) / self._factor)
        return largest_context(
            self.facts.attention, whole, wanted, self._kv_dtype, in_flight=self._in_flight, **self._shape
        )

    def eager(self) -> Sums:
        """The same without graphs."""
        return Sums(
            self.facts, {**self.values, "enforce_eager": True}, self.place, self._measured, workers=self._workers
        )

    def estimate(self, kv: int) -> MemoryEstimate:
        """Of all devices together."""
        share = self.place.share
        return MemoryEstimate(self.weights * share, kv * share, self.overhead * share)

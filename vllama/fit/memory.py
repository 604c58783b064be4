"""How many bytes a model needs: weights, KV cache, the rest. Pure (reference 10).

A first sum: the plan that chooses flags by it stands on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vllama.models.model import Attention, Facts

GIB: Final = 1 << 30
_MIB: Final = 1 << 20
# Measured on the CPU build: API server 633 MB, EngineCore 588 MB, worker without its KV cache 0.6 GB (reference 0).
_CPU_PROCESSES: Final = 1900 * _MIB
# CUDA context, NCCL and the allocator's slack, then graphs (reference 10.4).
_GPU_CONTEXT: Final = 800 * _MIB
_GPU_GRAPHS: Final = 600 * _MIB
_BYTES: Final = {
    "float32": 4.0,
    "bfloat16": 2.0,
    "float16": 2.0,
    "half": 2.0,
    "auto": 2.0,
    "int8": 1.0,
    "nvfp4": 0.5625,
}


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes by purpose."""

    weights: int
    kv_cache: int
    overhead: int
    """Processes or CUDA context, activations, graphs."""

    @property
    def total(self) -> int:
        """What the engine will hold when it is ready."""
        return self.weights + self.kv_cache + self.overhead


def element_bytes(dtype: str | None) -> float:
    """Bytes of one number of a KV cache of ``dtype`` (None, ``auto``: the model's own 16 bits)."""
    if dtype is None:
        return 2.0
    if dtype.startswith("fp8"):
        return 1.0
    return _BYTES.get(dtype, 2.0)


def kv_bytes_per_token(attention: Attention, kv_dtype: str | None = None, *, tensor_parallel: int = 1) -> float:
    """KV bytes on one GPU for a token that every layer keeps; windowed layers count as if they did."""
    layers = attention.full_layers + attention.window_layers
    if attention.latent:  # MLA keeps one latent vector, on every GPU
        return layers * attention.latent * element_bytes(kv_dtype)
    heads = -(-attention.kv_heads // tensor_parallel) if attention.kv_heads else 0
    return 2 * layers * heads * attention.head_dim * element_bytes(kv_dtype)


def kv_bytes_per_request(
    attention: Attention,
    tokens: int,
    kv_dtype: str | None = None,
    *,
    tensor_parallel: int = 1,
    block: int = 16,
    in_flight: int = 2048,
) -> int:
    """KV bytes on one GPU for one request of ``tokens``.

    ``block``: tokens of a block (16 on GPUs, 128 on the CPU); ``in_flight``: tokens that a window holds beside its own,
    about max_num_batched_tokens.
    """
    layers = attention.full_layers + attention.window_layers
    if not layers:
        return attention.state_bytes
    one_layer = kv_bytes_per_token(attention, kv_dtype, tensor_parallel=tensor_parallel) / layers
    whole = -(-tokens // block) * block
    window = min((-(-min(attention.window - 1 + in_flight, tokens) // block) + 1) * block, whole)
    kept = attention.full_layers * whole + attention.window_layers * window
    return int(one_layer * kept) + attention.state_bytes


def weight_bytes(facts: Facts, dtype: str | None) -> int:
    """Bytes of the loaded weights; an unquantised checkpoint is converted to ``dtype``."""
    if facts.dtype and dtype in {"float32", "bfloat16", "float16"}:
        return int(facts.weight_bytes * element_bytes(dtype) / element_bytes(facts.dtype))
    if facts.dtype == "float32":  # vLLM's dtype "auto" halves it
        return facts.weight_bytes // 2
    return facts.weight_bytes


def overhead_bytes(facts: Facts, *, on_gpu: bool, max_num_batched_tokens: int, max_num_seqs: int, eager: bool) -> int:
    """Everything that is neither weight nor KV cache."""
    feed_forward = facts.details.get("feed_forward_length", 0)
    inner = int(feed_forward) if isinstance(feed_forward, (int, float)) else 0
    vocabulary = facts.details.get("vocab_size", 0)
    logits = max_num_seqs * (int(vocabulary) if isinstance(vocabulary, (int, float)) else 0) * 4
    activations = max_num_batched_tokens * (facts.embedding_length * 14 + inner * 4) * 2 + logits
    if not on_gpu:
        return _CPU_PROCESSES + activations
    return _GPU_CONTEXT + (0 if eager else _GPU_GRAPHS) + activations


def largest_context(
    attention: Attention, budget: int, wanted: int, kv_dtype: str | None = None, *, block: int = 16
) -> int:
    """The longest context up to ``wanted`` tokens of which one request fits into ``budget`` bytes, in whole blocks."""
    # one block is vLLM's own
    budget -= int(kv_bytes_per_token(attention, kv_dtype) * block)
    if kv_bytes_per_request(attention, wanted, kv_dtype, block=block) <= budget:
        return wanted
    low, high = 0, wanted // block
    while low < high:
        middle = (low + high + 1) // 2
        if kv_bytes_per_request(attention, middle * block, kv_dtype, block=block) <= budget:
            low = middle
        else:
            high = middle - 1
    return low * block

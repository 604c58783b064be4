"""How many bytes a model needs: weights, KV cache, the rest. Pure.

``fit.plan`` chooses flags by these sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vllama.models.model import Attention, Facts

GIB: Final = 1 << 30
_MIB: Final = 1 << 20
# Measured on the CPU build, without weights, KV cache and activations: API server 570 MiB and engine core 500 MiB,
# which share what was imported before the fork; or API server, engine core and a worker, 600 MB each.
_CPU_CORE: Final = 1150 * _MIB
_CPU_WORKERS: Final = 1900 * _MIB
# Estimates: CUDA context, NCCL and the allocator's slack, then graphs.
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
# Bytes of a parameter that vLLM quantises while loading; embeddings stay in 16 bits.
_ONLINE: Final = {"fp8": 1.05, "int8": 1.05, "mxfp8": 1.08, "nvfp4": 0.65}


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
    """Bytes of one number of ``dtype`` (None, ``auto``: 16 bits, as vLLM loads every model by itself)."""
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


def kv_bytes_per_block(
    attention: Attention, kv_dtype: str | None = None, *, tensor_parallel: int = 1, block: int = 16
) -> int:
    """Bytes of one block of vLLM's pool on one GPU: ``block`` tokens of one group of layers."""
    layers = attention.full_layers + attention.window_layers
    if not layers:
        return 0
    one_layer = kv_bytes_per_token(attention, kv_dtype, tensor_parallel=tensor_parallel) / layers
    return int(one_layer * block) * _group_size(attention)


def kv_bytes_per_request(
    attention: Attention,
    tokens: int,
    kv_dtype: str | None = None,
    *,
    tensor_parallel: int = 1,
    block: int = 16,
    in_flight: int = 2048,
) -> int:
    """KV bytes on one GPU for one request of ``tokens``, counted as vLLM does: in whole blocks of groups of layers.

    ``block``: tokens of a block (16 on GPUs, 128 on the CPU); ``in_flight``: tokens that are being computed and so are
    held in addition to a window: max_num_batched_tokens, twice that where steps overlap (GPUs).
    """
    size = _group_size(attention)
    if not size:
        return attention.state_bytes
    whole = -(-tokens // block)
    # a window may begin within a block: one more
    window = -(-min(attention.window - 1 + in_flight, tokens) // block) + 1
    blocks = -(-attention.full_layers // size) * whole + -(-attention.window_layers // size) * window
    one = kv_bytes_per_block(attention, kv_dtype, tensor_parallel=tensor_parallel, block=block)
    return blocks * one + attention.state_bytes


def _group_size(attention: Attention) -> int:
    """How many layers share a block: layers of two kinds are cut into groups of equal size, the last one is padded.

    Source: ``_get_kv_cache_groups_uniform_page_size`` of vLLM 0.32.
    """
    kinds = [count for count in (attention.full_layers, attention.window_layers) if count]
    if not kinds:
        return 0
    return max(kinds) if max(kinds) < min(kinds) * 1.5 else min(kinds)


def weight_bytes(facts: Facts, dtype: str | None, quantization: str | None = None) -> int:
    """Bytes of the loaded weights; an unquantised checkpoint is converted to ``dtype``, or quantised while loading."""
    if facts.dtype and quantization is not None and (width := _ONLINE.get(quantization.partition("_")[0])):
        return int(facts.parameter_count * width)
    if facts.dtype and dtype in {"float32", "bfloat16", "float16"}:
        return int(facts.weight_bytes * element_bytes(dtype) / element_bytes(facts.dtype))
    if facts.dtype == "float32":  # vLLM's dtype "auto" halves it
        return facts.weight_bytes // 2
    return facts.weight_bytes


def overhead_bytes(
    facts: Facts,
    *,
    on_gpu: bool,
    max_num_batched_tokens: int,
    max_num_seqs: int,
    eager: bool,
    dtype: str | None = None,
    workers: bool = True,
) -> int:
    """Everything that is neither weight nor KV cache; activations are numbers of ``dtype``.

    ``workers``: on a CPU, whether the model runs in processes of its own (``fit.workers``).
    """
    feed_forward = facts.details.get("feed_forward_length", 0)
    inner = int(feed_forward) if isinstance(feed_forward, (int, float)) else 0
    vocabulary = facts.details.get("vocab_size", 0)
    logits = max_num_seqs * (int(vocabulary) if isinstance(vocabulary, (int, float)) else 0) * 4
    activations = (
        max_num_batched_tokens * (facts.embedding_length * 14 + inner * 4) * int(element_bytes(dtype)) + logits
    )
    if not on_gpu:
        return (_CPU_WORKERS if workers else _CPU_CORE) + activations
    return _GPU_CONTEXT + (0 if eager else _GPU_GRAPHS) + activations


def largest_context(
    attention: Attention,
    budget: int,
    wanted: int,
    kv_dtype: str | None = None,
    *,
    tensor_parallel: int = 1,
    block: int = 16,
    in_flight: int = 2048,
) -> int:
    """The longest context up to ``wanted`` tokens of which one request fits into ``budget`` bytes, in whole blocks."""

    def fits(tokens: int) -> bool:
        need = kv_bytes_per_request(
            attention, tokens, kv_dtype, tensor_parallel=tensor_parallel, block=block, in_flight=in_flight
        )
        return need <= budget

    # one block is vLLM's own
    budget -= kv_bytes_per_block(attention, kv_dtype, tensor_parallel=tensor_parallel, block=block)
    if fits(wanted):
        return wanted
    low, high = 0, wanted // block
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle * block):
            low = middle
        else:
            high = middle - 1
    return low * block

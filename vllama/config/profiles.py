"""The shipped profiles and how settings are merged. Pure.

A profile belongs to a range of model sizes; its overlays belong to GPU classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from vllama.config.schema import Config, GpuClass, ModelEntry, Profile, Settings, SizeClass

# A model with fewer parameters than this belongs to the class.
_LIMITS: Final[tuple[tuple[float, SizeClass], ...]] = ((3e9, "small"), (15e9, "medium"), (75e9, "large"))

# Cards of up to 32 GB usually drive a display as well: leave it some memory. Where a large model only just fits, the
# machine is taken to be headless.
_DESKTOP: Final = 0.90
_TIGHT: Final = 0.93
# Compilation takes 20 s or more. With so small a model, nobody would notice the gain.
_TOY: Final = 50_000_000
# Wide steps suit fast GPUs with much memory. Below that they cost KV cache and stall running streams during a prefill
# (measured on CPU: throughput -33 %, first token x 2.4), so vLLM's 2048 stays.
_WIDE: Final = 8192

SHIPPED: Final[Mapping[SizeClass, Profile]] = {
    "small": Profile(
        max_num_seqs=512,
        max_model_len=8192,
        gpu={
            "cpu": Settings(eager_below=_TOY),
            "16": Settings(gpu_memory_utilization=_DESKTOP),
            "24": Settings(gpu_memory_utilization=_DESKTOP),
            "32": Settings(gpu_memory_utilization=_DESKTOP),
            "80": Settings(max_num_batched_tokens=_WIDE),
            "141": Settings(max_num_batched_tokens=_WIDE),
        },
    ),
    "medium": Profile(
        max_num_seqs=256,
        max_model_len=8192,
        gpu={
            # an 8B model in 8 bits leaves 6 GB for the KV cache, so halve the memory of a token
            "16": Settings(gpu_memory_utilization=_DESKTOP, kv_cache_dtype="fp8", max_num_seqs=64),
            "24": Settings(gpu_memory_utilization=_DESKTOP),
            "32": Settings(gpu_memory_utilization=_DESKTOP),
            "80": Settings(max_num_batched_tokens=_WIDE),
            "141": Settings(max_num_batched_tokens=_WIDE),
        },
    ),
    "large": Profile(
        max_num_seqs=128,
        max_model_len=4096,
        gpu={
            # only 4-bit checkpoints fit, with little room for the KV cache
            "16": Settings(gpu_memory_utilization=_TIGHT, kv_cache_dtype="fp8", max_num_seqs=16),
            "24": Settings(gpu_memory_utilization=_TIGHT, kv_cache_dtype="fp8", max_num_seqs=32),
            "32": Settings(gpu_memory_utilization=_TIGHT, kv_cache_dtype="fp8", max_num_seqs=64),
            "80": Settings(max_num_batched_tokens=_WIDE),
            "141": Settings(max_num_batched_tokens=_WIDE),
        },
    ),
    "xlarge": Profile(
        max_num_seqs=64,
        max_model_len=4096,
        gpu={
            "80": Settings(max_num_batched_tokens=_WIDE, kv_cache_dtype="fp8"),
            "141": Settings(max_num_batched_tokens=_WIDE, kv_cache_dtype="fp8"),
        },
    ),
}

Layer = tuple[str, Mapping[str, Any]]
"""Where the values come from (``shipped profile small``, or the key path in the configuration) and the values set."""


def size_class(parameters: int) -> SizeClass:
    """small < 3B, medium < 15B, large < 75B, xlarge above."""
    return next((name for limit, name in _LIMITS if parameters < limit), "xlarge")


def layers(config: Config, size: SizeClass, gpu: GpuClass, model: str = "", tuned: str = "") -> Iterator[Layer]:
    """All layers that hold for a model, weakest first.

    ``model`` and ``tuned``: its keys under ``models`` and ``tuned``; empty when it has none there.

    A value that a person wrote is stronger than any that we ship, so the configured profile stands above the shipped
    overlay.
    """
    shipped = SHIPPED[size]
    yield f"shipped profile {size}", _written(shipped)
    if gpu in shipped.gpu:
        yield f"shipped profile {size} for {_spoken(gpu)}", _written(shipped.gpu[gpu])
    if (profile := config.profiles.get(size)) is not None:
        yield f"profiles.{size}", _written(profile)
        if gpu in profile.gpu:
            yield f"profiles.{size}.gpu.{gpu}", _written(profile.gpu[gpu])
    if config.context_length is not None:
        yield "context_length", {"max_model_len": config.context_length}
    if (found := config.tuned.get(tuned)) is not None:
        yield f"tuned.{tuned}", _written(found)
    entry: ModelEntry | None = config.models.get(model)
    if entry is not None:
        yield f"models.{model}.settings", _written(entry.settings)


def merge(stack: Iterator[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Field by field, the later layer wins: values, and each value's origin."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in stack:
        for key, value in layer.items():
            values[key] = value
            origins[key] = origin if origin == "context_length" or origin.startswith("shipped") else f"{origin}.{key}"
    return values, origins


def _written(settings: Settings) -> dict[str, Any]:
    """The values that are set explicitly; null and the overlays are left out."""
    return {
        key: value
        for key in settings.model_fields_set
        if key != "gpu" and (value := getattr(settings, key)) is not None
    }


def _spoken(gpu: GpuClass) -> str:
    return "the CPU" if gpu == "cpu" else f"{gpu} GB GPUs"

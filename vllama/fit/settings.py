"""The settings one model's engine gets: profile, overlay, the person's own, and what the hardware decides. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vllama.config.schema import Config, GpuClass, Settings, SizeClass
from vllama.fit.hardware import Hardware, cpu_list
from vllama.fit.memory import (
    GIB,
    MemoryEstimate,
    kv_bytes_per_request,
    largest_context,
    overhead_bytes,
    weight_bytes,
)
from vllama.fit.profiles import layers, merge, size_class
from vllama.models.model import Facts, Model
from vllama.models.names import parse_name

_CPU_BLOCK: Final = 128
_GPU_BLOCK: Final = 16
_MIB: Final = 1 << 20
# On a CPU the KV cache is RAM that others want too: half of what is left beside the weights, and no more than so many
# requests of full length can use.
_CPU_SHARE: Final = 0.5
_CPU_FULL_REQUESTS: Final = 128
# Encoders keep no KV cache, but without a size vLLM would insist on 92 % of the machine being free.
_NO_KV: Final = 256 * _MIB
_DEFAULT_UTILIZATION: Final = 0.92
_DEFAULT_BATCHED_TOKENS: Final = 2048
_SMALLEST_CONTEXT: Final = 256


@dataclass(frozen=True, slots=True)
class EffectiveSettings:
    """What ``engine.command`` turns into flags."""

    size_class: SizeClass
    gpu_class: GpuClass
    values: Settings
    """``max_model_len`` is a number here, never ``auto``."""
    estimate: MemoryEstimate
    origins: Mapping[str, str] = field(default_factory=dict)
    """Of every value that is set: a key path of the configuration, ``shipped profile ...`` or ``chosen: reason``."""
    notes: tuple[str, ...] = ()
    drain_timeout: float = 30.0
    """Seconds that running answers get when the engine is stopped."""

    @property
    def context(self) -> int:
        """``max_model_len`` as the number that it is."""
        found = self.values.max_model_len
        return found if isinstance(found, int) else 0


def entry_name(model: Model, config: Config) -> str:
    """The key under ``models`` that configures the model; empty when there is none."""
    wanted = model.name.key
    return next((text for text in config.models if (name := parse_name(text)) is not None and name.key == wanted), "")


def configured_settings(model: Model, config: Config, gpu_class: GpuClass) -> Mapping[str, Any]:
    """What profile, overlay and the model's own settings say, before anything is chosen for this machine."""
    key = entry_name(model, config)
    size = (config.models[key].profile if key else None) or size_class(model.facts.parameter_count)
    return merge(layers(config, size, gpu_class, key))[0]


def effective_settings(model: Model, config: Config, hardware: Hardware) -> EffectiveSettings:
    """Merge profile, overlay and the model's own settings, then choose what they leave open."""
    facts = model.facts
    key = entry_name(model, config)
    size = (config.models[key].profile if key else None) or size_class(facts.parameter_count)
    values, origins = merge(layers(config, size, hardware.gpu_class, key))
    choice = _Choice(values, origins)
    choice.drop_what_hardware_lacks(hardware)
    if hardware.kind == "cpu":
        choice.for_cpu(facts, hardware)
    choice.eager(facts, on_cpu=hardware.kind == "cpu")
    estimate = choice.memory(facts, hardware, sharers=max(len(config.models), 1))
    return EffectiveSettings(
        size_class=size,
        gpu_class=hardware.gpu_class,
        values=Settings.model_validate(values),
        estimate=estimate,
        origins=origins,
        notes=tuple(choice.notes),
        drain_timeout=config.engine.drain_timeout,
    )


class _Choice:
    """Fills in what the layers leave open; remembers why."""

    def __init__(self, values: dict[str, Any], origins: dict[str, str]) -> None:
        self.values = values
        self.origins = origins
        self.notes: list[str] = []

    def set(self, key: str, value: Any, *, why: str) -> None:
        self.values[key] = value
        self.origins[key] = f"chosen: {why}"

    def drop_what_hardware_lacks(self, hardware: Hardware) -> None:
        """Only shipped values are dropped: what a person wrote is passed on."""
        shipped = {key for key, origin in self.origins.items() if origin.startswith("shipped")}
        if "kv_cache_dtype" in shipped and not hardware.fp8:
            self._drop("kv_cache_dtype", "the GPU has no 8-bit floats")
        if "max_num_batched_tokens" in shipped and any(gpu.capability == (8, 0) for gpu in hardware.gpus):
            self._drop("max_num_batched_tokens", "an A100 is better off with vLLM's narrower steps")

    def _drop(self, key: str, why: str) -> None:
        del self.values[key], self.origins[key]
        self.notes.append(f"{key} left to vLLM: {why}")

    def for_cpu(self, facts: Facts, hardware: Hardware) -> None:
        if "dtype" not in self.values:
            if facts.task == "embed" and facts.dtype in {"float32", "float16"}:
                self.set("dtype", "float32", why="embeddings as exact as the checkpoint")
            else:
                self.set("dtype", "bfloat16", why="float16 is 5 to 8 times slower on CPUs")
        if "cpu_threads" not in self.values and self.values.get("tensor_parallel_size", 1) == 1:
            self.set("cpu_threads", cpu_list(hardware.cores), why="every core that we may use")

    def eager(self, facts: Facts, *, on_cpu: bool) -> None:
        if "enforce_eager" in self.values:
            return
        why = ""
        if on_cpu and facts.task == "embed":
            why = "compiling embedding models gains nothing on CPUs"
        elif facts.parameter_count < self.values.get("eager_below", 0):
            why = "so small a model is not worth compiling"
        if why:
            self.set("enforce_eager", value=True, why=why)

    def memory(self, facts: Facts, hardware: Hardware, *, sharers: int) -> MemoryEstimate:
        """Settle the context and, on a CPU, the size of the KV cache."""
        on_gpu = hardware.kind != "cpu"
        parallel = self.values.get("tensor_parallel_size", 1)
        weights = weight_bytes(facts, self.values.get("dtype"))
        overhead = overhead_bytes(
            facts,
            on_gpu=on_gpu,
            max_num_batched_tokens=self.values.get("max_num_batched_tokens", _DEFAULT_BATCHED_TOKENS),
            max_num_seqs=self.values.get("max_num_seqs", 256),
            eager=bool(self.values.get("enforce_eager")),
        )
        self._limit_context(facts)
        if on_gpu and hardware.gpus:
            share = self.values.get("gpu_memory_utilization", _DEFAULT_UTILIZATION)
            smallest = min(gpu.total for gpu in hardware.gpus)
            room = int(smallest * share) - weights // parallel - overhead
            room = self.values.get("kv_cache_memory", room)
            self._fit_context(facts, room * parallel, _GPU_BLOCK)
            return MemoryEstimate(weights, max(room, 0) * parallel if facts.attention.full_layers else 0, overhead)
        if "kv_cache_memory" not in self.values:
            free = int((hardware.ram_available - weights - overhead) * _CPU_SHARE / sharers)
            self.set("kv_cache_memory", self._cpu_kv(facts, free), why="a share of the free memory")
        room = self.values["kv_cache_memory"]
        self._fit_context(facts, room, _CPU_BLOCK)
        has_kv = facts.attention.full_layers + facts.attention.window_layers > 0
        return MemoryEstimate(weights, room if has_kv else 0, overhead)

    def _limit_context(self, facts: Facts) -> None:
        wanted = self.values.get("max_model_len", "auto")
        if wanted == "auto":
            self.set("max_model_len", facts.context_length, why="the model's own limit")
        elif wanted > facts.context_length:
            if not self.origins["max_model_len"].startswith("shipped"):
                self.notes.append(
                    f"max_model_len {wanted} ({self.origins['max_model_len']}) lowered to the model's own limit"
                )
            self.set("max_model_len", facts.context_length, why="the model's own limit")

    def _cpu_kv(self, facts: Facts, free: int) -> int:
        """Bytes: up to 128 requests of full length, within ``free``; whole MiB."""
        context, kv_dtype = self.values["max_model_len"], self.values.get("kv_cache_dtype")
        one = kv_bytes_per_request(facts.attention, context + _CPU_BLOCK, kv_dtype, block=_CPU_BLOCK)
        if not one:
            return _NO_KV
        useful: int = one * min(self.values.get("max_num_seqs", _CPU_FULL_REQUESTS), _CPU_FULL_REQUESTS)
        return -(-max(min(useful, free), 64 * _MIB) // _MIB) * _MIB

    def _fit_context(self, facts: Facts, room: int, block: int) -> None:
        """Lower the context until one request fits; below a useful length it is left for vLLM to refuse."""
        wanted = self.values["max_model_len"]
        kv_dtype = self.values.get("kv_cache_dtype")
        fits = largest_context(facts.attention, room, wanted, kv_dtype, block=block)
        if _SMALLEST_CONTEXT <= fits < wanted:
            self.notes.append(
                f"context lowered from {wanted} to {fits} tokens: the KV cache has {max(room, 0) / GIB:.1f} GiB"
            )
            self.set("max_model_len", fits, why="what memory allows")

"""Merges the settings of a model's engine: profile, overlay, the user's own, and what the hardware decides. Pure.

What memory decides (context, KV cache, GPUs) is left open here: ``fit.plan`` settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vllama.config.profiles import layers, merge, size_class
from vllama.config.schema import Config, GpuClass, Settings, SizeClass
from vllama.fit import kv_cache
from vllama.fit.hardware import Hardware, cpu_list
from vllama.fit.memory import MemoryEstimate
from vllama.models.model import Facts, Model
from vllama.models.names import parse_name


@dataclass(frozen=True, slots=True)
class WantedSettings:
    """What profile, user and kind of hardware set; ``fit.plan`` makes ``EffectiveSettings`` from it."""

    size_class: SizeClass
    gpu_class: GpuClass
    values: Mapping[str, Any]
    """By the fields of ``config.schema.Settings``; what is not there is open."""
    origins: Mapping[str, str]
    """Of every value: a key path of the configuration, ``shipped profile ...`` or ``chosen: reason``."""
    notes: tuple[str, ...] = ()

    def written(self, key: str) -> bool:
        """Whether a person set the value: then it is kept as far as it can be."""
        return key in self.origins and not self.origins[key].startswith(("shipped", "chosen"))


@dataclass(frozen=True, slots=True)
class EffectiveSettings:
    """What ``engine.command`` turns into flags."""

    size_class: SizeClass
    gpu_class: GpuClass
    values: Settings
    """``max_model_len`` is a number here, never ``auto``."""
    estimate: MemoryEstimate
    """Of all GPUs together."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Of every value that is set: a key path of the configuration, ``shipped profile ...`` or ``chosen: reason``."""
    notes: tuple[str, ...] = ()
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs it lives on, as the driver counts them; empty on a CPU."""

    @property
    def context(self) -> int:
        """``max_model_len`` as the number that it is."""
        found = self.values.max_model_len
        return found if isinstance(found, int) else 0


def entry_name(model: Model, config: Config) -> str:
    """The key under ``models`` that configures the model; empty if the model is not configured."""
    return _key_of(model, config.models)


def _key_of(model: Model, names: Iterable[str]) -> str:
    """The one of the names that means the model, as it is spelled; empty without one."""
    wanted = model.name.key
    return next((text for text in names if (name := parse_name(text)) is not None and name.key == wanted), "")


def configured_settings(model: Model, config: Config, gpu_class: GpuClass) -> Mapping[str, Any]:
    """What profile, overlay and the model's own settings say, before anything is chosen for this machine."""
    key = entry_name(model, config)
    size = (config.models[key].profile if key else None) or size_class(model.facts.parameter_count)
    return merge(layers(config, size, gpu_class, key, _key_of(model, config.tuned)))[0]


def wanted_settings(model: Model, config: Config, hardware: Hardware) -> WantedSettings:
    """Merge profile, overlay and the model's own settings, then choose what needs no sum."""
    facts = model.facts
    key = entry_name(model, config)
    size = (config.models[key].profile if key else None) or size_class(facts.parameter_count)
    values, origins = merge(layers(config, size, hardware.gpu_class, key, _key_of(model, config.tuned)))
    choice = _Choice(values, origins)
    choice.drop_what_hardware_lacks(hardware)
    if hardware.kind == "cpu":
        choice.for_cpu(facts, hardware)
    choice.eager(facts, on_cpu=hardware.kind == "cpu", never=config.engine.compile == "never")
    choice.limit_context(facts)
    choice.kv_cache(facts, hardware, models=len(config.models))
    return WantedSettings(
        size_class=size,
        gpu_class=hardware.gpu_class,
        values=values,
        origins=origins,
        notes=tuple(choice.notes),
    )


class _Choice:
    """Sets what the layers leave open, and records why."""

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
            if facts.rounds_badly:
                self.set("dtype", "float32", why="embeddings as exact as the checkpoint")
            else:
                self._precision(facts, hardware)
        if "cpu_threads" not in self.values and self.values.get("tensor_parallel_size", 1) == 1:
            self.set("cpu_threads", cpu_list(hardware.computing), why="one thread for every core that we may use")

    def _precision(self, facts: Facts, hardware: Hardware) -> None:
        if hardware.bf16 or not facts.dtype or "quantization" in self.values:
            self.set("dtype", "bfloat16", why="float16 is 5 to 8 times slower on CPUs")
        else:
            self.set("dtype", "float32", why="bfloat16 is 5 times slower on CPUs without AVX-512")

    def eager(self, facts: Facts, *, on_cpu: bool, never: bool) -> None:
        if "enforce_eager" in self.values:
            return
        why = ""
        if on_cpu and facts.task == "embed":
            why = "compiling embedding models gains nothing on CPUs"
        elif facts.parameter_count < self.values.get("eager_below", 0):
            why = "so small a model is not worth compiling"
        elif never:
            why = "engine.compile is never"
        if why:
            self.set("enforce_eager", value=True, why=why)

    def kv_cache(self, facts: Facts, hardware: Hardware, models: int) -> None:
        for key, (value, why) in kv_cache.defaults(self.values, hardware, facts.context_length, models).items():
            self.set(key, value, why=why)

    def limit_context(self, facts: Facts) -> None:
        """Never above the model's own limit; ``auto`` is left to the plan."""
        wanted = self.values.get("max_model_len", "auto")
        if wanted == "auto":
            self.values["max_model_len"] = wanted
            self.origins.setdefault("max_model_len", "chosen: the model's own limit")
        elif wanted > facts.context_length:
            if not self.origins["max_model_len"].startswith("shipped"):
                self.notes.append(
                    f"max_model_len {wanted} ({self.origins['max_model_len']}) lowered to the model's own limit"
                )
            self.set("max_model_len", facts.context_length, why="the model's own limit")

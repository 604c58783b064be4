"""Machines and models for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vllama.config.schema import Config
from vllama.fit.hardware import Gpu, Hardware
from vllama.fit.plan import Plan, plan
from vllama.fit.settings import EffectiveSettings, wanted_settings
from vllama.models.model import Attention, Facts, Model
from vllama.models.names import ModelName

GIB = 1 << 30
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2, "": 2}


def cpu(ram: int = 32, cores: tuple[int, ...] = (0, 1, 2, 3)) -> Hardware:
    """A machine without a GPU; ``ram`` in GiB."""
    return Hardware("cpu", cores, ram * GIB, ram * GIB)


def gpu(memory: float, capability: tuple[int, int] | None = (9, 0), count: int = 1) -> Hardware:
    """A machine with ``count`` equal GPUs; ``memory`` in GiB."""
    total = int(memory * GIB)
    cards = tuple(Gpu(index, "GPU", total, total, capability) for index in range(count))
    return Hardware("cuda", (0, 1), 64 * GIB, 64 * GIB, cards)


def facts(parameters: int = 8_000_000_000, *, dtype: str = "bfloat16", **changes: Any) -> Facts:
    """An 8B model like Llama 3.1 unless changed."""
    found: dict[str, Any] = {
        "architecture": "LlamaForCausalLM",
        "family": "llama",
        "task": "generate",
        "parameter_count": parameters,
        "weight_bytes": parameters * WIDTHS[dtype],
        "quantization": "BF16",
        "context_length": 131072,
        "embedding_length": 4096,
        "details": {"feed_forward_length": 14336, "vocab_size": 128256},
        "dtype": dtype,
        "attention": Attention(full_layers=32, kv_heads=8, head_dim=128),
        "tool_parser": "llama3_json",
    }
    return Facts(**{**found, **changes})


def model(found: Facts | None = None, name: str = "mini") -> Model:
    """A servable model of those facts."""
    return Model(
        name=ModelName("registry.ollama.ai", "library", name, "latest"),
        path=Path("/models") / name,
        facts=found or facts(),
        digest="0" * 64,
        size=1,
        modified_at=0.0,
    )


def verdict(found: Facts, hardware: Hardware, config: dict[str, Any] | None = None, **more: Any):
    """What the plan says of a model called ``mini`` under a configuration."""
    wanted = wanted_settings(model(found), Config.model_validate(config or {}), hardware)
    return plan(found, wanted, hardware, **more)


def choose(found: Facts, hardware: Hardware, config: dict[str, Any] | None = None, **more: Any) -> EffectiveSettings:
    """The settings of a model that fits."""
    answer = verdict(found, hardware, config, **more)
    assert isinstance(answer, Plan), answer
    return answer.settings

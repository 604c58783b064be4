"""Small model directories and facts for tests."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vllama.install.capabilities import shipped_registry
from vllama.models import facts
from vllama.models.facts import ModelFiles
from vllama.models.model import Facts
from vllama.models.safetensors import Tensor

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "hidden_size": 32,
    "max_position_embeddings": 4096,
    "eos_token_id": 1,
}
WIDTHS = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "I64": 8, "U8": 1, "F8_E4M3": 1}


def tensor(name: str, dtype: str, *shape: int) -> Tensor:
    """As a header would tell it."""
    size = WIDTHS[dtype]
    for length in shape:
        size *= length
    return Tensor(name, dtype, shape, size, size)


def files(config: Mapping[str, Any] | None = None, *tensors: Tensor, **more: Any) -> ModelFiles:
    """What was read from a directory; ``config`` changes the usual one."""
    return ModelFiles("m", {**CONFIG, **(config or {})}, tensors or (tensor("w", "BF16", 10, 10),), **more)


def read_facts(found: ModelFiles) -> Facts:
    """As with the engine that we install."""
    return facts.read_facts(found, shipped_registry())


def safetensors(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> bytes:
    """A whole file of zeros."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + tensor(name, dtype, *shape).size
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def make_model(directory: Path, **contents: Any) -> Path:
    """A servable directory; ``contents``: file name (dots as __) to None (leave it out), bytes or a JSON value."""
    found: dict[str, Any] = {
        "config.json": CONFIG,
        "model.safetensors": safetensors({"w": ("BF16", (10, 10))}),
        "tokenizer.json": {"model": {"type": "BPE"}, "added_tokens": [{"id": 1, "content": "<|im_end|>"}]},
        **{name.replace("__", "."): value for name, value in contents.items()},
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in found.items():
        if value is not None:
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return directory

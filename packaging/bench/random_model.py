"""Writes a Llama of 0.19 billion random parameters: ``random_model.py DIR``. Needs nothing but Python.

Its speed is that of a real model of its shape; what it says is noise. The tokenizer and chat template are tinychat's,
so every token has a text, and the context is long enough for prompts of thousands of tokens.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import sys
from pathlib import Path
from typing import Any, Final

_TINYCHAT: Final = Path(__file__).parents[2] / "vllama" / "models" / "builtin" / "tinychat"
_CONTEXT: Final = 8192
_CONFIG: Final[dict[str, Any]] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "torch_dtype": "bfloat16",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 1024,
    "max_position_embeddings": _CONTEXT,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "eos_token_id": 1017,
}
# A sign and an exponent that make bf16 numbers of about 0.01, by the highest bit of a random byte.
_HIGH_BYTES: Final = b"\x3c" * 128 + b"\xbc" * 128


def main(place: Path) -> None:
    """Write the directory; it must not be there yet."""
    place.mkdir(parents=True)
    for file in _TINYCHAT.iterdir():
        if file.name.startswith(("tokenizer", "chat_template", "special")):
            shutil.copy(file, place)
    tokenizer = json.loads((place / "tokenizer_config.json").read_text("utf-8"))
    (place / "tokenizer_config.json").write_text(json.dumps({**tokenizer, "model_max_length": _CONTEXT}))
    (place / "config.json").write_text(json.dumps(_CONFIG, indent=2))
    _write(place / "model.safetensors", _shapes())


def _shapes() -> dict[str, tuple[int, ...]]:
    hidden, inner = _CONFIG["hidden_size"], _CONFIG["intermediate_size"]
    kept = _CONFIG["num_key_value_heads"] * _CONFIG["head_dim"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (1024, hidden), "model.norm.weight": (hidden,)}
    for number in range(_CONFIG["num_hidden_layers"]):
        layer = {
            "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (kept, hidden),
            "self_attn.v_proj": (kept, hidden),
            "self_attn.o_proj": (hidden, hidden),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }
        found |= {f"model.layers.{number}.{name}.weight": shape for name, shape in layer.items()}
    return found


def _write(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    chance, offset, header = random.Random(7), 0, {}  # noqa: S311 - always the same weights, and no secret
    for name, shape in shapes.items():
        size = 2
        for length in shape:
            size *= length
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for entry in header.values():
            begin, end = entry["data_offsets"]
            data = bytearray(end - begin)
            data[0::2] = chance.randbytes(len(data) // 2)
            data[1::2] = chance.randbytes(len(data) // 2).translate(_HIGH_BYTES)
            file.write(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

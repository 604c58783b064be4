"""Small models of every kind of attention with random weights, made on the spot."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from vllama.models import store

Shapes = dict[str, tuple[int, ...]]

_HIDDEN: Final = 1024
_INNER: Final = 2048
_VOCABULARY: Final = 64_000
_TOKENIZER: Final = Path(store.__file__).parent / "builtin" / "tinychat"
_COMMON: Final[Mapping[str, Any]] = {
    "hidden_size": _HIDDEN,
    "intermediate_size": _INNER,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "vocab_size": _VOCABULARY,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "eos_token_id": 0,
}
_MIXTRAL: Final = {"num_local_experts": 4, "num_experts_per_tok": 2}
_LATENT: Final = {
    "num_key_value_heads": 16,
    "kv_lora_rank": 256,
    "q_lora_rank": None,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": 32,
    "v_head_dim": 64,
    "n_routed_experts": 8,  # all layers are dense: see the next line
    "first_k_dense_replace": 99,
}
_GEMMA: Final = {
    "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"] * 3,
    "sliding_window": 512,
    "query_pre_attn_scalar": 64,
    "rope_local_base_freq": 10000.0,
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
}

KINDS: Final[Mapping[str, dict[str, Any]]] = {
    "gqa": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 8},
    "mqa": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": 9,
        "num_key_value_heads": 1,
    },
    "mla": {"architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "num_hidden_layers": 8, **_LATENT},
    "sliding window": {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "num_hidden_layers": 8,
        "sliding_window": 1024,
    },
    "hybrid": {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "num_hidden_layers": 12, **_GEMMA},
    "moe": {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_hidden_layers": 5, **_MIXTRAL},
}
"""What each config.json says beside the common part."""


def make_model(folder: Path, kind: str) -> Path:
    """A directory that vLLM can load."""
    config = {**_COMMON, **KINDS[kind]}
    place = folder / kind.replace(" ", "-")
    place.mkdir()
    shutil.copy(_TOKENIZER / "tokenizer.json", place)
    tokenizer = json.loads((_TOKENIZER / "tokenizer_config.json").read_text())
    tokenizer["model_max_length"] = config["max_position_embeddings"]  # longer than windows and steps together
    (place / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (place / "config.json").write_text(json.dumps(config))
    _write(place / "model.safetensors", _tensors(config))
    return place


def _tensors(config: Mapping[str, Any]) -> Shapes:
    found: Shapes = {"model.embed_tokens.weight": (_VOCABULARY, _HIDDEN), "model.norm.weight": (_HIDDEN,)}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (_VOCABULARY, _HIDDEN)
    for number in range(config["num_hidden_layers"]):
        for name, shape in {**_attention(config), **_feed_forward(config), **_norms(config)}.items():
            found[f"model.layers.{number}.{name}.weight"] = shape
    return found


def _attention(config: Mapping[str, Any]) -> Shapes:
    heads, size = config["num_attention_heads"], config["head_dim"]
    if rank := config.get("kv_lora_rank"):
        nope, rope, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
        return {
            "self_attn.q_proj": (heads * (nope + rope), _HIDDEN),
            "self_attn.kv_a_proj_with_mqa": (rank + rope, _HIDDEN),
            "self_attn.kv_a_layernorm": (rank,),
            "self_attn.kv_b_proj": (heads * (nope + value), rank),
            "self_attn.o_proj": (_HIDDEN, heads * value),
        }
    kept = config["num_key_value_heads"] * size
    found: Shapes = {
        "self_attn.q_proj": (heads * size, _HIDDEN),
        "self_attn.k_proj": (kept, _HIDDEN),
        "self_attn.v_proj": (kept, _HIDDEN),
        "self_attn.o_proj": (_HIDDEN, heads * size),
    }
    if config["model_type"].startswith("gemma3"):
        found |= {"self_attn.q_norm": (size,), "self_attn.k_norm": (size,)}
    return found


def _feed_forward(config: Mapping[str, Any]) -> Shapes:
    if experts := config.get("num_local_experts"):
        found: Shapes = {"block_sparse_moe.gate": (experts, _HIDDEN)}
        for number in range(experts):
            for name, shape in {"w1": (_INNER, _HIDDEN), "w2": (_HIDDEN, _INNER), "w3": (_INNER, _HIDDEN)}.items():
                found[f"block_sparse_moe.experts.{number}.{name}"] = shape
        return found
    return {"mlp.gate_proj": (_INNER, _HIDDEN), "mlp.up_proj": (_INNER, _HIDDEN), "mlp.down_proj": (_HIDDEN, _INNER)}


def _norms(config: Mapping[str, Any]) -> Shapes:
    names = ["input_layernorm", "post_attention_layernorm"]
    if config["model_type"].startswith("gemma3"):
        names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    return dict.fromkeys(names, (_HIDDEN,))


def _write(path: Path, shapes: Shapes) -> None:
    """Small bf16 numbers: a random low byte below an exponent that makes them about 0.01."""
    chance, offset, header = random.Random(7), 0, {}
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
            data[1::2] = b"\x3c" * (len(data) // 2)
            file.write(data)

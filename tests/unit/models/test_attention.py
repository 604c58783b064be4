from __future__ import annotations

from typing import Any

import pytest

from vllama.models.attention import read_attention, text_config
from vllama.models.model import Attention


def shape(**config: Any) -> Attention:
    return read_attention({"num_hidden_layers": 12, "num_attention_heads": 8, "hidden_size": 512, **config})


def test_without_key_value_heads_every_head_has_its_own():
    found = shape()
    assert (found.full_layers, found.kv_heads, found.head_dim) == (12, 8, 64)


def test_grouped_and_single_key_value_heads():
    assert shape(num_key_value_heads=2).kv_heads == 2
    assert shape(multi_query=True).kv_heads == 1
    assert shape(multi_query=True, new_decoder_architecture=True, num_kv_heads=4).kv_heads == 4


def test_gpt2s_names():
    found = read_attention({"n_layer": 3, "n_head": 4, "n_embd": 64})
    assert (found.full_layers, found.kv_heads, found.head_dim) == (3, 4, 16)


def test_latent_attention_keeps_one_vector():
    assert shape(kv_lora_rank=512, qk_rope_head_dim=64).latent == 576


@pytest.mark.parametrize(
    ("config", "full", "window", "tokens"),
    [
        ({"sliding_window": 4096}, 0, 12, 4096),
        ({"sliding_window": 4096, "use_sliding_window": False}, 12, 0, 0),
        ({"sliding_window": None, "use_sliding_window": True}, 12, 0, 0),
        ({"sliding_window": 512, "sliding_window_pattern": 6}, 2, 10, 512),
        ({"sliding_window": 4096, "model_type": "gemma2"}, 6, 6, 4096),
        ({"sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 6}, 6, 6, 128),
        ({"sliding_window": None, "layer_types": ["full_attention"] * 12}, 12, 0, 0),
        ({"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 8}, 8, 4, 4096),
        ({"attention_chunk_size": 8192, "layer_types": ["chunked_attention"] * 9 + ["full_attention"] * 3}, 3, 9, 8192),
    ],
)
def test_windows(config: dict[str, Any], full: int, window: int, tokens: int):
    found = shape(**config)
    assert (found.full_layers, found.window_layers, found.window) == (full, window, tokens)


@pytest.mark.parametrize(
    ("config", "full"),
    [
        ({"layer_types": ["linear_attention"] * 9 + ["full_attention"] * 3}, 3),
        ({"layers_block_type": ["mamba"] * 10 + ["attention"] * 2}, 2),
        ({"hybrid_override_pattern": "M-M*-M*-M-M*"}, 3),
        ({"full_attention_interval": 4}, 3),
        ({"attn_layer_period": 8, "attn_layer_offset": 4}, 1),
        ({"full_attn_idxs": [2, 5, 8], "conv_L_cache": 3}, 3),
        ({"linear_attn_config": {"full_attn_layers": [4, 8, 12]}}, 3),
        ({"mamba_d_ssm": 1024, "mamba_d_state": 128}, 12),
    ],
)
def test_only_attention_layers_of_hybrids_pay_by_the_token(config: dict[str, Any], full: int):
    assert shape(**config).full_layers == full


def test_linear_layers_have_a_constant_state():
    gated = shape(
        layer_types=["linear_attention", "full_attention"],
        linear_num_value_heads=32,
        linear_num_key_heads=16,
        linear_key_head_dim=128,
        linear_value_head_dim=128,
    )
    assert gated.state_bytes == 32 * 128 * 128 * 4 + (2 * 16 * 128 + 32 * 128) * 3 * 2
    assert shape(layer_types=["mamba", "attention"], mamba_d_state=16).state_bytes == 1024 * 16 * 4 + 1024 * 3 * 2


def test_shared_layers_keep_nothing_of_their_own():
    found = shape(sliding_window=512, layer_types=["sliding_attention", "full_attention"] * 6, num_kv_shared_layers=4)
    assert (found.full_layers, found.window_layers) == (4, 4)


def test_the_language_models_part_of_a_multimodal_config():
    assert text_config({"text_config": {"a": 1}}) == {"a": 1}
    assert text_config({"thinker_config": {"text_config": {"a": 2}}}) == {"a": 2}
    assert text_config({"a": 3}) == {"a": 3}


@pytest.mark.parametrize("value", [True, -1, "12", None, [], 1e300, float("nan")])
def test_nonsense_counts_as_not_said(value: object):
    assert shape(num_hidden_layers=value, num_layers=5).full_layers == 5

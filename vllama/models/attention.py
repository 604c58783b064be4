"""Reads the shape of a model's attention from its config.json: what its KV cache will need. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vllama.models.model import Attention

Json = Mapping[str, Any]

_LANGUAGE: Final = ("text_config", "llm_config", "language_config", "language_model_config")
_WINDOWED: Final = {"sliding_attention", "chunked_attention", "local_attention", "sliding"}
_LINEAR: Final = {"linear_attention", "mamba", "mamba2", "conv", "recurrent", "short_conv", "gated_delta_net", "kda"}


def text_config(config: Json) -> Json:
    """The language model's part of a multimodal config; the config itself otherwise."""
    for place in (config, config.get("thinker_config")):
        if isinstance(place, Mapping):
            for key in _LANGUAGE:
                if isinstance(found := place.get(key), Mapping) and found:
                    return found
    return config


def whole_number(config: Json, *keys: str) -> int:
    """The first of ``keys`` that holds a number above 0, else 0."""
    for key in keys:
        value = config.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 2**53:
            return int(value)
    return 0


def read_attention(config: Json) -> Attention:
    """The attention of a decoder; call it with the language model's part."""
    layers = whole_number(config, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    heads = whole_number(config, "num_attention_heads", "n_head", "num_heads", "n_heads")
    full, windowed, linear = _layers(config, layers)
    shared = min(whole_number(config, "num_kv_shared_layers"), full + windowed)
    if shared:  # the last layers reuse the cache of earlier ones, both kinds in their usual proportion
        cut = round(shared * full / (full + windowed))
        full, windowed = full - cut, windowed - (shared - cut)
    latent = whole_number(config, "kv_lora_rank")
    if latent:
        latent += whole_number(config, "qk_rope_head_dim")
    hidden = whole_number(config, "hidden_size", "n_embd", "d_model")
    return Attention(
        full_layers=full,
        window_layers=windowed,
        window=_window(config) if windowed else 0,
        kv_heads=_kv_heads(config, heads),
        head_dim=whole_number(config, "head_dim", "hidden_size_per_head") or (hidden // heads if heads else 0),
        latent=latent,
        state_bytes=linear * _state_bytes(config),
    )


def _kv_heads(config: Json, heads: int) -> int:
    if config.get("multi_query") is True and config.get("new_decoder_architecture") is not True:
        return 1
    return whole_number(config, "num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num") or heads


def _window(config: Json) -> int:
    if config.get("use_sliding_window") is False:
        return 0
    return whole_number(config, "sliding_window", "attention_chunk_size", "interleaved_sliding_window")


def _layers(config: Json, layers: int) -> tuple[int, int, int]:
    """How many layers attend to everything, to a window, and have a constant state."""
    window = _window(config)
    kinds = config.get("layer_types") or config.get("layers_block_type")
    if isinstance(kinds, list) and kinds:
        linear = sum(kind in _LINEAR for kind in kinds)
        windowed = sum(kind in _WINDOWED for kind in kinds) if window else 0
        return len(kinds) - linear - windowed - kinds.count("mlp"), windowed, linear
    pattern = config.get("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern:
        return pattern.count("*"), 0, pattern.count("M")
    if isinstance(linear_config := config.get("linear_attn_config"), Mapping):
        attending = linear_config.get("full_attn_layers")
        count = len(attending) if isinstance(attending, list) else 0
        return count, 0, max(layers - count, 0)
    if isinstance(indices := config.get("full_attn_idxs"), list):
        return len(indices), 0, max(layers - len(indices), 0)
    if interval := whole_number(config, "full_attention_interval", "attn_layer_period"):
        offset = whole_number(config, "attn_layer_offset")
        count = len(range(offset, layers, interval)) if offset else layers // interval
        return count, 0, layers - count
    if "mamba_d_state" in config or "mamba_d_ssm" in config:  # Falcon-H1: both kinds in each layer
        return layers, 0, layers
    if window:
        return *_windowed(config, layers), 0
    return layers, 0, 0


def _windowed(config: Json, layers: int) -> tuple[int, int]:
    """Full and windowed layers where only a pattern is given."""
    every = whole_number(config, "sliding_window_pattern", "_sliding_window_pattern")
    if not every and config.get("model_type") in {"gemma2", "gpt_oss"}:
        every = 2
    if every > 1:
        full = layers // every
        return full, layers - full
    if config.get("use_sliding_window") is True and (first := whole_number(config, "max_window_layers")):
        full = min(first, layers)
        return full, layers - full
    return 0, layers


def _state_bytes(config: Json) -> int:
    """State of one linear layer and sequence: 4 bytes for each number of the recurrent part, 2 for the convolution."""
    if values := whole_number(config, "linear_num_value_heads"):  # gated delta net
        keys = whole_number(config, "linear_num_key_heads") or values
        key_dim = whole_number(config, "linear_key_head_dim")
        value_dim = whole_number(config, "linear_value_head_dim")
        kernel = whole_number(config, "linear_conv_kernel_dim") or 4
        return values * key_dim * value_dim * 4 + (2 * keys * key_dim + values * value_dim) * (kernel - 1) * 2
    if state := whole_number(config, "mamba_d_state", "ssm_state_size"):  # Mamba 1 and 2
        hidden = whole_number(config, "hidden_size")
        inner = whole_number(config, "mamba_d_ssm") or (whole_number(config, "mamba_expand", "expand") or 2) * hidden
        kernel = whole_number(config, "mamba_d_conv", "conv_kernel") or 4
        return inner * state * 4 + inner * (kernel - 1) * 2
    if kernel := whole_number(config, "conv_L_cache"):  # LFM2's short convolution
        return whole_number(config, "hidden_size") * kernel * 2
    return 0

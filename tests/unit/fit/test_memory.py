from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fit.machines import facts
from vllama.fit.memory import (
    MemoryEstimate,
    element_bytes,
    kv_bytes_per_block,
    kv_bytes_per_request,
    kv_bytes_per_token,
    largest_context,
    overhead_bytes,
    weight_bytes,
)
from vllama.models.attention import read_attention
from vllama.models.model import Attention

KIB = 1024


def attention(layers: int, heads: int, dim: int) -> Attention:
    return Attention(full_layers=layers, kv_heads=heads, head_dim=dim)


@pytest.mark.parametrize(
    ("layers", "heads", "dim", "kib"),
    [(32, 8, 128, 128), (28, 4, 128, 56), (36, 8, 128, 144), (80, 8, 128, 320), (126, 8, 128, 504)],
    ids=["Llama-3.1-8B", "Qwen2.5-7B", "Qwen3-8B", "Llama-3.1-70B", "Llama-3.1-405B"],
)
def test_known_models_take_their_known_bytes(layers: int, heads: int, dim: int, kib: int):
    assert kv_bytes_per_token(attention(layers, heads, dim)) == kib * KIB


def test_latent_attention_takes_one_vector():
    v3 = read_attention(
        {
            "num_hidden_layers": 61,
            "num_attention_heads": 128,
            "hidden_size": 7168,
            "kv_lora_rank": 512,
            "qk_rope_head_dim": 64,
        }
    )
    assert kv_bytes_per_token(v3) / KIB == pytest.approx(68.6, abs=0.05)
    assert kv_bytes_per_token(v3, tensor_parallel=8) == kv_bytes_per_token(v3)


def test_what_vllms_own_log_said():
    # "CPU KV cache size: 524,288 tokens" for 1 GiB, and 682 blocks of 128 for 2 GiB
    assert (1 << 30) / kv_bytes_per_token(attention(4, 2, 64)) == 524_288
    assert (2 << 30) // (kv_bytes_per_token(attention(12, 8, 64)) * 128) == 682


def test_small_numbers_make_small_caches():
    full = kv_bytes_per_token(attention(32, 8, 128))
    assert kv_bytes_per_token(attention(32, 8, 128), "fp8_e4m3") == full / 2
    assert (element_bytes(None), element_bytes("auto"), element_bytes("float32"), element_bytes("fp8")) == (2, 2, 4, 1)


def test_gpus_share_the_heads_until_each_has_one():
    model = attention(32, 8, 128)
    assert kv_bytes_per_token(model, tensor_parallel=4) == kv_bytes_per_token(model) / 4
    assert kv_bytes_per_token(model, tensor_parallel=16) == kv_bytes_per_token(model) / 8


def test_a_request_takes_whole_blocks():
    model = attention(4, 2, 64)
    assert kv_bytes_per_request(model, 1, block=128) == 128 * 2048
    assert kv_bytes_per_request(model, 129, block=128) == 256 * 2048


def test_windows_keep_no_more_than_they_see():
    every = Attention(full_layers=0, window_layers=10, window=512, kv_heads=2, head_dim=64)
    assert kv_bytes_per_request(every, 100_000, block=16, in_flight=2048) == 10 * 512 * ((-(-2559 // 16)) + 1) * 16
    assert kv_bytes_per_request(every, 256, block=16) == 10 * 512 * (256 + 16)
    mixed = Attention(full_layers=5, window_layers=5, window=512, kv_heads=2, head_dim=64)
    assert kv_bytes_per_request(every, 100_000) < kv_bytes_per_request(mixed, 100_000)


@pytest.mark.parametrize(
    ("full", "windowed", "group", "groups"),
    [(10, 20, 10, (1, 2)), (12, 13, 13, (1, 1)), (1, 5, 1, (1, 5)), (4, 9, 4, (1, 3)), (3, 0, 3, (1, 0))],
)
def test_layers_of_two_kinds_share_blocks_in_groups_of_equal_size(full, windowed, group, groups):
    model = Attention(full_layers=full, window_layers=windowed, window=512, kv_heads=2, head_dim=64)
    one = 16 * 2 * 2 * 64 * 2 * group
    assert kv_bytes_per_block(model) == one
    blocks = groups[0] * (8192 // 16) + groups[1] * ((2048 + 512) // 16 + 1)
    assert kv_bytes_per_request(model, 8192) == one * blocks


def test_linear_layers_cost_the_same_at_any_length():
    linear = Attention(state_bytes=1000)
    assert kv_bytes_per_request(linear, 10) == kv_bytes_per_request(linear, 100_000) == 1000


def test_weights_follow_the_precision_they_are_loaded_in():
    model = facts(parameters=1000, dtype="float32")
    assert weight_bytes(model, "float32") == 4000
    assert weight_bytes(model, "bfloat16") == 2000
    assert weight_bytes(model, None) == 2000  # vLLM's own choice for float32 checkpoints
    assert weight_bytes(facts(parameters=1000, dtype="bfloat16"), None) == 2000
    assert weight_bytes(facts(parameters=1000, dtype=""), "bfloat16") == 2000  # quantised: as on the disk
    assert weight_bytes(facts(parameters=1000, dtype="bfloat16"), None, "fp8_per_tensor") == 1050
    assert weight_bytes(facts(parameters=1000, dtype=""), None, "fp8") == 2000


def test_overhead_grows_with_the_step_and_not_with_graphs_when_eager():
    def overhead(tokens: int, *, eager: bool, on_gpu: bool = True) -> int:
        return overhead_bytes(facts(), on_gpu=on_gpu, max_num_batched_tokens=tokens, max_num_seqs=8, eager=eager)

    assert overhead(2048, eager=True) < overhead(2048, eager=False) < overhead(8192, eager=False)
    assert overhead(2048, eager=True, on_gpu=False) > 1 << 30


@settings(deadline=None)
@given(
    layers=st.integers(1, 8),
    windowed=st.integers(0, 8),
    budget=st.integers(0, 1 << 28),
    wanted=st.integers(1, 1 << 17),
    block=st.sampled_from([16, 128]),
)
def test_the_largest_context_fits_and_one_block_more_does_not(
    layers: int, windowed: int, budget: int, wanted: int, block: int
):
    model = Attention(full_layers=layers, window_layers=windowed, window=512, kv_heads=2, head_dim=64)
    reserve = kv_bytes_per_block(model, block=block)
    found = largest_context(model, budget, wanted, block=block)
    assert 0 <= found <= wanted
    if found:
        assert kv_bytes_per_request(model, found, block=block) + reserve <= budget
    if found < wanted:
        assert kv_bytes_per_request(model, min(found + block, wanted), block=block) + reserve > budget


def test_an_estimate_is_the_sum_of_its_parts():
    assert MemoryEstimate(weights=1, kv_cache=2, overhead=4).total == 7

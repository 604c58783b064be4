from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.fit.machines import GIB, choose, cpu, facts, gpu, model
from vllama.config.profiles import SHIPPED, size_class
from vllama.config.schema import Config
from vllama.fit.settings import wanted_settings
from vllama.models.model import Attention, Task

TINY = facts(
    1_855_840,
    context_length=2048,
    embedding_length=160,
    details={"feed_forward_length": 448, "vocab_size": 1024},
    attention=Attention(full_layers=5, kv_heads=1, head_dim=64),
)
MINILM = facts(22_565_376, dtype="float32", task="embed", context_length=256, attention=Attention())


@pytest.mark.parametrize(
    ("billions", "name"),
    [
        (0.001, "small"),
        (2.99, "small"),
        (3, "medium"),
        (14.8, "medium"),
        (15, "large"),
        (70.6, "large"),
        (75, "xlarge"),
        (405, "xlarge"),
    ],
)
def test_size_classes(billions: float, name: str):
    assert size_class(int(billions * 1e9)) == name


def test_the_shipped_starting_values():
    assert [profile.max_num_seqs for profile in SHIPPED.values()] == [512, 256, 128, 64]
    assert [profile.max_model_len for profile in SHIPPED.values()] == [8192, 8192, 4096, 4096]
    for profile in SHIPPED.values():
        for gpu_class, overlay in profile.gpu.items():
            # wide steps only where there is memory for them
            assert (overlay.max_num_batched_tokens == 8192) == (gpu_class in {"80", "141"})


def test_the_size_is_read_from_the_files_and_not_from_the_name():
    found = wanted_settings(model(facts(70_000_000_000), "llama-1b"), Config(), gpu(141))
    assert (found.size_class, found.values["max_num_seqs"]) == ("large", 128)


def test_profile_then_overlay_then_the_persons_profile_then_the_model():
    hardware = gpu(19)  # in the class of 16 GB, and large enough for an 8B model
    config: dict[str, Any] = {}
    assert choose(facts(7_000_000_000), hardware, config).values.max_num_seqs == 64
    config["profiles"] = {"medium": {"max_num_seqs": 50}}
    found = choose(facts(7_000_000_000), hardware, config)
    assert (found.values.max_num_seqs, found.origins["max_num_seqs"]) == (50, "profiles.medium.max_num_seqs")
    config["profiles"]["medium"]["gpu"] = {"16": {"max_num_seqs": 40}, "24": {"max_num_seqs": 1}}
    found = choose(facts(7_000_000_000), hardware, config)
    assert (found.values.max_num_seqs, found.origins["max_num_seqs"]) == (40, "profiles.medium.gpu.16.max_num_seqs")
    config["models"] = {"MINI:latest": {"source": "a/b", "settings": {"max_num_seqs": 30}}}
    found = choose(facts(7_000_000_000), hardware, config)
    assert (found.values.max_num_seqs, found.origins["max_num_seqs"]) == (
        30,
        "models.MINI:latest.settings.max_num_seqs",
    )
    assert found.origins["kv_cache_dtype"] == "shipped profile medium for 16 GB GPUs"


def test_tuned_settings_are_stronger_than_profiles_and_weaker_than_the_models_own():
    config: dict[str, Any] = {
        "profiles": {"medium": {"max_num_seqs": 50}},
        "tuned": {"MINI": {"max_num_seqs": 40}, "other": {"max_num_seqs": 1}},
    }
    found = choose(facts(7_000_000_000), gpu(24), config)
    assert (found.values.max_num_seqs, found.origins["max_num_seqs"]) == (40, "tuned.MINI.max_num_seqs")
    config["models"] = {"mini": {"source": "a/b", "settings": {"max_num_seqs": 30}}}
    assert choose(facts(7_000_000_000), gpu(24), config).values.max_num_seqs == 30


def test_a_model_may_be_given_another_profile():
    config = {"models": {"mini": {"source": "a/b", "profile": "xlarge"}}}
    assert choose(facts(), gpu(80), config).size_class == "xlarge"


def test_the_context_is_never_above_the_models_own():
    assert choose(TINY, cpu()).context == 2048
    found = choose(TINY, cpu(), {"models": {"mini": {"source": "a/b", "settings": {"max_model_len": 9999}}}})
    assert found.context == 2048
    assert found.notes == ("max_model_len 9999 (models.mini.settings.max_model_len) lowered to the model's own limit",)


def test_ollamas_default_context_is_weaker_than_the_models_setting():
    config: dict[str, Any] = {"context_length": 16384}
    assert choose(facts(), gpu(80), config).context == 16384
    config["models"] = {"mini": {"source": "a/b", "settings": {"max_model_len": 4096}}}
    assert choose(facts(), gpu(80), config).context == 4096


def test_auto_is_all_that_the_model_can_do_where_memory_allows():
    config = {"context_length": None, "profiles": {"medium": {"max_model_len": "auto"}}}
    assert choose(facts(), gpu(141), config).context == 131072
    tight = choose(facts(), gpu(24), config)
    assert 2048 <= tight.context < 131072
    assert tight.context % 16 == 0
    assert "context lowered" in tight.notes[0]


def test_a_small_gpu_gets_a_shorter_context_and_says_why():
    found = choose(facts(), gpu(19))
    assert 256 <= found.context < 8192
    assert found.origins["max_model_len"] == "chosen: what memory allows"


def test_old_gpus_get_no_eight_bit_cache_unless_a_person_says_so():
    old = gpu(16, (8, 6))
    found = choose(facts(4_000_000_000, dtype=""), old)
    assert found.values.kv_cache_dtype is None
    assert found.notes[0] == "kv_cache_dtype left to vLLM: the GPU has no 8-bit floats"
    asked = choose(facts(4_000_000_000, dtype=""), old, {"profiles": {"medium": {"kv_cache_dtype": "fp8"}}})
    assert asked.values.kv_cache_dtype == "fp8"


def test_an_a100_keeps_vllms_narrow_steps():
    assert choose(facts(), gpu(80, (8, 0))).values.max_num_batched_tokens is None
    assert choose(facts(), gpu(80, (9, 0))).values.max_num_batched_tokens == 8192


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", ""])
def test_on_a_cpu_with_fast_bfloat16_text_is_always_computed_in_it(dtype: str):
    assert choose(facts(dtype=dtype), cpu(64)).values.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("dtype", "task", "chosen"),
    [
        ("bfloat16", "generate", "float32"),
        ("float16", "generate", "float32"),
        ("bfloat16", "embed", "float32"),
        ("", "generate", "bfloat16"),  # quantised: vLLM unpacks it to 16 bits
    ],
)
def test_on_a_cpu_without_it_whole_weights_are_computed_in_float32(dtype: str, task: Task, chosen: str):
    slow = replace(cpu(64), bf16=False)
    assert choose(facts(dtype=dtype, task=task), slow).values.dtype == chosen


@pytest.mark.parametrize(
    ("dtype", "chosen"), [("float32", "float32"), ("float16", "float32"), ("bfloat16", "bfloat16")]
)
def test_on_a_cpu_embeddings_are_as_exact_as_the_checkpoint(dtype: str, chosen: str):
    assert choose(facts(22_000_000, dtype=dtype, task="embed"), cpu()).values.dtype == chosen


def test_on_a_gpu_the_precision_is_left_to_vllm():
    assert choose(facts(), gpu(80)).values.dtype is None


def test_on_a_cpu_every_core_of_the_cpuset_computes():
    assert choose(TINY, cpu(cores=(0, 1, 4, 5))).values.cpu_threads == "0-1,4-5"
    assert choose(TINY, gpu(80)).values.cpu_threads is None
    chosen = choose(TINY, cpu(), {"profiles": {"small": {"cpu_threads": "0"}}})
    assert chosen.values.cpu_threads == "0"


def test_on_a_cpu_with_hardware_threads_one_of_each_core_computes():
    machine = replace(cpu(cores=(0, 1, 2, 3)), first_threads=(0, 2))
    assert choose(TINY, machine).values.cpu_threads == "0,2"


def test_toys_and_embedders_are_not_compiled_on_a_cpu():
    assert choose(TINY, cpu()).values.enforce_eager is True
    assert choose(MINILM, cpu()).values.enforce_eager is True
    assert choose(facts(600_000_000), cpu()).values.enforce_eager is None
    assert choose(TINY, gpu(80)).values.enforce_eager is None
    config = {"profiles": {"small": {"enforce_eager": False}}}
    assert choose(TINY, cpu(), config).values.enforce_eager is False


def test_on_a_cpu_the_cache_always_has_a_size():
    found = choose(facts(), cpu(64))
    size = found.values.kv_cache_memory
    assert size is not None
    left = 64 * GIB - found.estimate.weights - found.estimate.overhead
    assert 0 < size <= left * 0.25
    assert size % (1 << 20) == 0


def test_on_a_cpu_engines_share_what_is_really_left():
    alone = choose(facts(), cpu(128)).values.kv_cache_memory
    neighbours = replace(cpu(128), ram_available=48 * GIB, ram_promised=8 * GIB)
    shared = choose(facts(), neighbours).values.kv_cache_memory
    assert alone is not None
    assert shared is not None
    assert shared < alone


def test_a_toy_takes_no_more_than_it_can_use():
    size = choose(TINY, cpu(64)).values.kv_cache_memory
    assert size == 256 << 20


def test_an_encoder_gets_a_size_too_or_vllm_would_want_the_whole_machine():
    found = choose(MINILM, cpu())
    assert found.values.kv_cache_memory == 256 << 20
    assert found.estimate.kv_cache == 0


def test_what_a_person_set_is_left_alone():
    config = {"profiles": {"small": {"kv_cache_memory": "1GiB", "dtype": "float32"}}}
    found = choose(TINY, cpu(), config)
    assert (found.values.kv_cache_memory, found.values.dtype) == (GIB, "float32")
    assert found.origins["kv_cache_memory"] == "profiles.small.kv_cache_memory"


def test_every_value_has_an_origin():
    for hardware in (cpu(), gpu(24), gpu(141)):
        found = choose(facts(), hardware)
        set_values = {key for key, value in found.values.model_dump().items() if value not in (None, (), {})}
        assert set_values <= found.origins.keys()

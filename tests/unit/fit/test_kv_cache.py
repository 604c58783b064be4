from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.fit.machines import GIB, cpu, facts, gpu, verdict
from vllama.fit.hardware import Hardware
from vllama.fit.plan import Plan, Refusal
from vllama.models.model import Attention, Facts

SMOLLM2 = facts(
    134_515_008,
    context_length=8192,
    embedding_length=576,
    details={"feed_forward_length": 1536, "vocab_size": 49152},
    attention=Attention(full_layers=30, kv_heads=3, head_dim=64),
)
LLAMA = facts()
MIB = 1 << 20

attentions = st.builds(
    Attention,
    full_layers=st.integers(1, 64),
    kv_heads=st.sampled_from([1, 2, 8, 32]),
    head_dim=st.sampled_from([64, 128]),
)
models = st.builds(
    lambda parameters, attention, context: facts(parameters, attention=attention, context_length=context),
    st.integers(1_000_000, 100_000_000_000),
    attentions,
    st.sampled_from([300, 2048, 32768, 131072]),
)
contexts = st.sampled_from([256, 2048, 8192, 65536, "auto"])
shares = st.sampled_from([None, 0.1, 0.25, 0.5, 1.0])
chats = st.sampled_from([None, 1, 3, 64])


def machine(kind: str, memory: int, cores: int = 4) -> Hardware:
    return gpu(memory, (8, 6)) if kind == "gpu" else cpu(memory, tuple(range(cores)))


def with_settings(**values: Any) -> dict[str, Any]:
    written = {key: value for key, value in values.items() if value is not None}
    return {"models": {"mini": {"source": "a/b", "settings": written}}}


def fitting(found: Facts, hardware: Hardware, config: dict[str, Any] | None = None, **more: Any) -> Plan:
    answer = verdict(found, hardware, config, **more)
    assert isinstance(answer, Plan), answer
    return answer


# ----------------------------------------------------------------------------------------------------- always


@given(models, st.sampled_from(["cpu", "gpu"]), st.integers(1, 200), st.tuples(contexts, shares, chats))
def test_the_cache_never_takes_more_than_its_share_but_for_one_chat(found, kind, memory, written):
    context, share, many = written
    config = with_settings(max_model_len=context, kv_cache_share=share, kv_cache_chats=many)
    answer = verdict(found, machine(kind, memory), config)
    assume(isinstance(answer, Plan))
    need = answer.settings.estimate
    room = answer.place.free - need.weights - need.overhead
    beyond_one_chat = need.kv_cache * (1 - 1 / answer.requests)
    assert answer.requests >= 1
    assert need.total <= answer.place.free
    assert need.kv_cache <= room * (share or (0.25 if kind == "cpu" else 1.0)) or beyond_one_chat <= 2 * MIB


@given(models, st.sampled_from(["cpu", "gpu"]), contexts, shares, st.lists(st.integers(1, 200), min_size=2, max_size=2))
def test_more_memory_never_means_a_smaller_cache(found, kind, context, share, sizes):
    config = with_settings(max_model_len=context, kv_cache_share=share)
    less, more = (verdict(found, machine(kind, size), config) for size in sorted(sizes))
    if isinstance(less, Plan):
        assert isinstance(more, Plan)
        assert more.settings.estimate.kv_cache >= less.settings.estimate.kv_cache
        assert more.settings.context >= less.settings.context
    else:
        assert isinstance(less, Refusal)  # with the sum, which is an error that says what is wrong
        assert less.need.total > less.place.reachable


@given(models, st.integers(2, 200), st.lists(st.integers(1, 128), min_size=2, max_size=2))
def test_more_cores_never_mean_a_smaller_cache(found, memory, counts):
    few, many = (verdict(found, machine("cpu", memory, count)) for count in sorted(counts))
    assume(isinstance(few, Plan))
    assert isinstance(many, Plan)
    assert many.settings.estimate.kv_cache >= few.settings.estimate.kv_cache


# --------------------------------------------------------------------------------------------------- what it chooses


def test_a_small_model_on_two_cores_takes_less_than_three_gigabytes():
    plan = fitting(SMOLLM2, cpu(24, (0, 1)))
    assert plan.settings.estimate.total < 3 * GIB
    assert plan.requests == pytest.approx(4, abs=0.1)
    assert plan.chats == "KV cache 0.7 GiB, by kv_cache_chats 4: 4 chats of 8k tokens at once, or 64 of 512"
    assert plan.settings.origins["kv_cache_chats"] == "chosen: two for each core"


def test_a_shorter_context_means_more_chats_in_the_same_memory():
    long, short = (fitting(SMOLLM2, cpu(24, (0, 1)), with_settings(max_model_len=size)) for size in (8192, 2048))
    assert short.requests == pytest.approx(4 * long.requests, rel=0.1)
    assert short.settings.estimate.kv_cache == pytest.approx(long.settings.estimate.kv_cache, rel=0.05)
    assert short.settings.origins["kv_cache_chats"] == "chosen: two of 8k tokens for each core"


def test_a_large_cpu_serves_as_many_as_its_sequences_allow():
    plan = fitting(SMOLLM2, cpu(256, tuple(range(64))))
    assert plan.requests == pytest.approx(64, abs=0.1)
    assert plan.settings.origins["kv_cache_chats"] == "chosen: an eighth of max_num_seqs"


def test_where_memory_is_short_a_cpu_leaves_three_quarters_of_it():
    plan = fitting(LLAMA, cpu(32))
    need = plan.settings.estimate
    assert need.kv_cache == pytest.approx((plan.place.free - need.weights - need.overhead) / 4, abs=MIB)
    assert "by kv_cache_share 0.25: 3 chats of 8k tokens at once" in plan.chats


def test_one_chat_of_the_whole_context_fits_whatever_the_share():
    plan = fitting(LLAMA, cpu(20))
    assert plan.requests >= 1
    assert plan.settings.context == 8192
    assert "by max_model_len, one chat of which must fit: one chat of 8k tokens" in plan.chats


def test_an_automatic_context_stays_within_the_share():
    plan = fitting(LLAMA, cpu(64), with_settings(max_model_len="auto"))
    need = plan.settings.estimate
    assert 8192 < plan.settings.context < 131072
    assert need.kv_cache <= (plan.place.free - need.weights - need.overhead) / 4


def test_a_single_model_on_a_servers_gpu_may_take_all_of_it():
    plan = fitting(LLAMA, gpu(24))
    assert plan.settings.estimate.total == pytest.approx(plan.place.free, rel=0.001)
    assert plan.settings.origins["kv_cache_share"] == "chosen: the GPU is for this model alone"


@pytest.mark.parametrize(
    ("display", "others", "reason"),
    [(True, {}, "the GPU drives a display"), (False, {"embedder": {"source": "c/d"}}, "several models are configured")],
)
def test_a_gpu_that_is_shared_is_left_half_of_what_is_free(display: bool, others: dict[str, Any], reason: str):
    shared = gpu(24)
    shared = replace(shared, gpus=tuple(replace(one, display=display) for one in shared.gpus))
    plan = fitting(LLAMA, shared, {"models": {"mini": {"source": "a/b"}, **others}})
    need = plan.settings.estimate
    assert need.kv_cache == pytest.approx((plan.place.free - need.weights - need.overhead) / 2, abs=MIB)
    assert plan.settings.origins["kv_cache_share"] == f"chosen: {reason}"


def test_a_second_configured_model_finds_room_next_to_the_first_on_one_gpu():
    config = {"models": {"mini": {"source": "a/b"}, "embedder": {"source": "c/d"}}}
    taken = fitting(LLAMA, gpu(24), config).settings.estimate.total
    card = gpu(24)
    rest = replace(card, gpus=tuple(replace(one, free=one.free - taken, kept=taken) for one in card.gpus))
    embedder = facts(300_000_000, attention=Attention(), task="embed", embedding_length=1024, details={})
    assert isinstance(verdict(embedder, rest, config), Plan)


def test_what_a_person_writes_is_the_rule():
    assert fitting(LLAMA, cpu(128), with_settings(kv_cache_chats=3)).requests == pytest.approx(3, abs=0.1)
    shared = fitting(LLAMA, cpu(64), with_settings(kv_cache_share=0.1))
    need = shared.settings.estimate
    assert need.kv_cache == pytest.approx((shared.place.free - need.weights - need.overhead) / 10, abs=MIB)
    exact = fitting(LLAMA, cpu(64), with_settings(kv_cache_memory="20GiB", kv_cache_chats=1, kv_cache_share=0.1))
    assert exact.settings.estimate.kv_cache == 20 * GIB
    assert "by kv_cache_memory: 20 chats" in exact.chats


def test_a_profile_may_change_the_rule_for_machines_without_a_gpu():
    config = {"profiles": {"medium": {"gpu": {"cpu": {"kv_cache_chats": 2}}}}}
    assert fitting(LLAMA, cpu(128), config).requests == pytest.approx(2, abs=0.1)
    assert fitting(LLAMA, gpu(80), config).requests == pytest.approx(32, abs=1)

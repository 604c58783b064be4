from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.fit.machines import GIB, choose, cpu, facts, gpu, model, verdict
from vllama.config.schema import Config
from vllama.fit.alternatives import alternatives
from vllama.fit.hardware import Hardware, imagined
from vllama.fit.plan import GENTLER_PLANS, Missing, Plan, Refusal, plan
from vllama.fit.settings import wanted_settings
from vllama.fit.sums import ReportedMemory
from vllama.fit.words import hint_of, parts_of, too_big
from vllama.models.model import Attention, Facts

HEADS = {"feed_forward_length": 14336, "vocab_size": 128256, "attention.head_count": 32}
LLAMA = facts(details=HEADS)
LARGE = facts(70_000_000_000, details={**HEADS, "attention.head_count": 64}, embedding_length=8192,
              attention=Attention(full_layers=80, kv_heads=8, head_dim=128))  # fmt: skip


def used(hardware: Hardware, free: float, kept: float = 0) -> Hardware:
    """GPUs of which ``free`` GiB are free and ``kept`` GiB belong to engines that may be evicted."""
    return replace(
        hardware,
        gpus=tuple(replace(one, free=int(free * GIB), kept=int(kept * GIB)) for one in hardware.gpus),
    )


def fitting(*arguments: Any, **more: Any) -> Plan:
    answer = verdict(*arguments, **more)
    assert isinstance(answer, Plan), answer
    return answer


# ----------------------------------------------------------------------------------------- what everybody relies on

shapes = st.builds(
    Attention,
    full_layers=st.integers(0, 64),
    window_layers=st.integers(0, 64),
    window=st.sampled_from([512, 4096]),
    kv_heads=st.sampled_from([1, 2, 8, 32]),
    head_dim=st.sampled_from([64, 128]),
)
models = st.builds(
    lambda parameters, attention, context, task: facts(
        parameters, attention=attention, context_length=context, task=task, details=HEADS
    ),
    st.integers(1_000_000, 200_000_000_000),
    shapes,
    st.sampled_from([300, 2048, 32768, 131072, 1 << 20]),
    st.sampled_from(["generate", "embed"]),
)


@st.composite
def machines(draw: st.DrawFn) -> Hardware:
    total = draw(st.integers(2, 200))
    free = draw(st.integers(0, total))
    kept = draw(st.integers(0, total - free))
    if draw(st.booleans()):
        machine = replace(cpu(total), bf16=draw(st.booleans()))
        return replace(machine, ram_available=free * GIB, ram_kept=kept * GIB, ram_promised=kept * GIB // 4)
    return used(gpu(total, count=draw(st.sampled_from([1, 2, 4, 8]))), free, kept)


configs = st.sampled_from(
    [
        {},
        {"context_length": 65536},
        {"profiles": {size: {"max_model_len": "auto"} for size in ("small", "medium", "large", "xlarge")}},
        {"models": {"mini": {"source": "a/b", "settings": {"kv_cache_memory": "3GiB"}}}},
        {"models": {"mini": {"source": "a/b", "settings": {"gpu_memory_utilization": 0.6}}}},
    ]
)


def per_device(plan: Plan) -> int:
    return plan.settings.estimate.total // plan.place.share


@given(models, machines(), configs)
def test_a_plan_never_takes_more_than_is_free_and_holds_one_whole_request(found: Facts, hardware: Hardware, config):
    answer = verdict(found, hardware, config)
    assume(isinstance(answer, Plan))
    assert per_device(answer) <= answer.place.free
    assert 0 < answer.settings.context <= found.context_length
    has_cache = found.attention.full_layers + found.attention.window_layers > 0
    assert (answer.requests >= 1) == has_cache
    if answer.place.on_gpu:
        share = answer.settings.values.gpu_memory_utilization
        assert share is not None
        assert per_device(answer) / answer.place.total == pytest.approx(share, abs=2e-5)
        assert len(answer.settings.gpus) == answer.place.share


@given(models, machines(), configs)
def test_gentler_plans_never_need_more(found: Facts, hardware: Hardware, config):
    answer = verdict(found, hardware, config)
    assume(isinstance(answer, Plan))
    for attempt in range(1, GENTLER_PLANS + 1):
        gentler = verdict(found, hardware, config, attempt=attempt)
        assert isinstance(gentler, Plan)
        assert gentler.settings.estimate.total <= answer.settings.estimate.total
        assert 0 < gentler.settings.context <= answer.settings.context
        answer = gentler


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(models, machines(), configs)
def test_what_is_missing_is_enough_when_it_is_freed(found: Facts, hardware: Hardware, config):
    answer = verdict(found, hardware, config)
    assume(isinstance(answer, Missing))
    assert answer.bytes > 0
    freed = replace(
        hardware,
        ram_available=hardware.ram_available + answer.bytes,
        ram_kept=hardware.ram_kept - answer.bytes,
        gpus=tuple(
            replace(one, free=one.free + answer.bytes, kept=max(one.kept - answer.bytes, 0)) for one in hardware.gpus
        ),
    )
    assert isinstance(verdict(found, freed, config), Plan)


@given(models, machines(), configs)
def test_what_is_refused_would_not_fit_without_the_neighbours_either(found: Facts, hardware: Hardware, config):
    answer = verdict(found, hardware, config)
    assume(isinstance(answer, Refusal))
    assert answer.need.total // answer.place.share > answer.place.reachable
    alone = replace(
        hardware,
        ram_available=hardware.ram_available + hardware.ram_kept - hardware.ram_promised,
        ram_kept=0,
        ram_promised=0,
        gpus=tuple(replace(one, free=one.free + one.kept, kept=0) for one in hardware.gpus),
    )
    assert isinstance(verdict(found, alone, config), Refusal)


# ----------------------------------------------------------------------------------------------- what it chooses


def test_an_engine_takes_what_its_requests_can_use_and_leaves_the_rest_to_others():
    plan = fitting(LLAMA, gpu(80))
    assert plan.requests == pytest.approx(32, abs=1)
    assert plan.settings.values.gpu_memory_utilization == pytest.approx(0.63, abs=0.01)
    assert plan.settings.origins["gpu_memory_utilization"] == "chosen: what it needs and no more"


def test_a_second_engine_finds_room_next_to_the_first():
    first = fitting(LLAMA, gpu(80))
    taken = first.settings.estimate.total / GIB
    second = fitting(facts(3_000_000_000), used(gpu(80), 80 - taken, taken))
    shares = [plan.settings.values.gpu_memory_utilization or 0 for plan in (first, second)]
    assert sum(shares) <= 0.92 + 2e-5  # shares are rounded up


def test_the_sum_is_reported_in_peoples_words():
    assert fitting(LLAMA, gpu(24)).sum == "21.6 of 21.6 GiB: about 5 chats at once with 8k context"
    assert (
        fitting(facts(22_000_000, task="embed", attention=Attention(), embedding_length=384, details={}), cpu()).sum
        == "1.2 of 31.0 GiB"
    )
    tight = fitting(LLAMA, gpu(19, (8, 6)))
    assert tight.sum.startswith("17.1 of 17.1 GiB: one chat at once with ")


def test_a_models_context_is_not_cut_to_fit_next_to_others_they_are_unloaded():
    neighbours = used(gpu(24), free=8, kept=15)
    answer = verdict(LLAMA, neighbours)
    assert isinstance(answer, Missing)
    assert answer.bytes == pytest.approx(11.2 * GIB, rel=0.05)
    assert too_big(answer.need, answer.place).startswith("model requires more GPU memory (")


def test_where_a_pinned_engine_or_another_program_has_the_memory_it_is_a_refusal():
    answer = verdict(LLAMA, used(gpu(24), free=8))
    assert isinstance(answer, Refusal)


def test_an_engine_without_workers_needs_less_memory():
    alone, bound = (fitting(LLAMA, cpu(64), {"profiles": {"medium": {"cpu_threads": t}}}) for t in ("nobind", "0-1"))
    need, needs_more = alone.settings.estimate, bound.settings.estimate
    assert needs_more.overhead - need.overhead == 750 << 20


def test_too_big_is_reported_with_the_sum_in_ollamas_words_and_with_what_would_fit():
    answer = verdict(LLAMA, cpu(12))
    assert isinstance(answer, Refusal)
    assert too_big(answer.need, answer.place) == (
        "model requires more system memory (17.6 GiB) than is available (11.6 GiB)"
    )
    assert parts_of(answer.need) == "weights 14.9 GiB, KV cache 1.0 GiB, working memory 1.7 GiB"
    others = alternatives(LLAMA, wanted_settings(model(LLAMA), Config(), cpu(12)), cpu(12))
    assert [other.text for other in others] == ["4-bit weights (AWQ, GPTQ)"]
    assert not others[0].emptied
    assert hint_of(answer.need, others).endswith("would fit: 4-bit weights (AWQ, GPTQ) (7.5 GiB, 8k context)")
    assert hint_of(answer.need, ()).endswith("a smaller model would fit")


def test_other_ways_to_serve_are_planned_in_the_memory_that_the_plan_has():
    machine = replace(cpu(24), ram_available=20 * GIB, ram_kept=4 * GIB)  # an engine that could be unloaded
    wanted = wanted_settings(model(LLAMA), Config(), machine)
    first = plan(LLAMA, wanted, machine)
    assert isinstance(first, Plan)
    others = alternatives(LLAMA, wanted, machine)
    assert {other.plan.place.free for other in others if not other.emptied} == {first.place.free}
    crowded = replace(machine, ram_available=6 * GIB, ram_kept=18 * GIB)
    assert all(other.emptied for other in alternatives(LLAMA, wanted, crowded))


def test_a_written_cache_that_fits_only_across_gpus_is_spread_over_them():
    found = facts(3_000_000_000, details={"feed_forward_length": 8192, "attention.head_count": 32})
    settings = {"kv_cache_memory": "8GiB", "max_model_len": 1024}
    answer = verdict(found, gpu(15, count=2), {"models": {"mini": {"source": "a/b", "settings": settings}}})
    assert isinstance(answer, Plan), answer
    assert len(answer.settings.gpus) == 2


def test_a_context_that_fits_only_in_eight_bits_gets_a_cache_in_eight_bits():
    config = {"context_length": 65536}
    plan = fitting(LLAMA, gpu(24), config)
    assert (plan.settings.values.kv_cache_dtype, plan.settings.context) == ("fp8", 65536)
    old = fitting(LLAMA, gpu(24, (8, 6)), config)
    assert old.settings.values.kv_cache_dtype is None
    assert old.settings.context < 65536
    assert "context lowered" in old.settings.notes[0]


def test_without_fast_bfloat16_a_cpu_computes_in_float32_where_there_is_room_for_it():
    old = replace(cpu(64), bf16=False)
    plan = fitting(facts(), old)
    assert plan.settings.values.dtype == "float32"
    assert plan.settings.estimate.weights == 2 * fitting(facts(), cpu(64)).settings.estimate.weights
    small = fitting(facts(), replace(old, ram_available=24 * GIB))
    assert small.settings.values.dtype == "bfloat16"
    assert small.settings.origins["dtype"] == "chosen: float32 would need twice the memory"
    assert "dtype bfloat16: slower on this CPU than float32, for which there is no room" in small.settings.notes


def test_a_kv_cache_has_the_width_of_the_numbers_that_are_computed_with():
    narrow, wide = (fitting(facts(), replace(cpu(64), bf16=fast)) for fast in (True, False))
    asked = fitting(facts(), replace(cpu(64), bf16=False), {"profiles": {"medium": {"kv_cache_dtype": "bfloat16"}}})
    one = narrow.settings.estimate.kv_cache / narrow.requests
    assert wide.settings.estimate.kv_cache / wide.requests == pytest.approx(2 * one, rel=0.01)
    assert asked.settings.estimate.kv_cache / asked.requests == pytest.approx(one, rel=0.01)


def test_a_precision_that_a_person_wrote_is_kept_on_every_cpu():
    config = {"profiles": {"medium": {"dtype": "float32"}}}
    assert isinstance(verdict(facts(), replace(cpu(64), ram_available=24 * GIB, ram_total=24 * GIB), config), Refusal)
    written = {"profiles": {"medium": {"dtype": "bfloat16"}}}
    assert fitting(facts(), replace(cpu(64), bf16=False), written).settings.values.dtype == "bfloat16"


def test_one_gpu_where_one_is_enough_and_the_emptiest():
    machine = gpu(80, count=4)
    cards = list(machine.gpus)
    cards[0] = replace(cards[0], free=10 * GIB)
    plan = fitting(LLAMA, replace(machine, gpus=tuple(cards)))
    assert plan.settings.gpus == (1,)
    assert plan.settings.values.tensor_parallel_size is None


def test_as_many_gpus_as_the_weights_need():
    plan = fitting(LARGE, gpu(80, count=8))
    assert plan.settings.values.tensor_parallel_size == 2
    assert plan.settings.gpus == (0, 1)
    assert "one GPU is too small" in plan.settings.notes[0]
    assert isinstance(verdict(LARGE, gpu(80)), Refusal)


def test_heads_that_cannot_be_divided_stay_on_one_gpu():
    odd = replace(LARGE, details={**HEADS, "attention.head_count": 63})
    assert isinstance(verdict(odd, gpu(80, count=8)), Refusal)


def test_a_persons_share_and_size_are_kept():
    config = {"profiles": {"medium": {"gpu_memory_utilization": 0.5}}}
    plan = fitting(LLAMA, gpu(80), config)
    assert plan.settings.values.gpu_memory_utilization == 0.5
    assert plan.settings.estimate.total == pytest.approx(40 * GIB, rel=0.001)
    config = {"profiles": {"medium": {"kv_cache_memory": "2GiB"}}}
    plan = fitting(LLAMA, cpu(64), config)
    assert plan.settings.values.kv_cache_memory == 2 * GIB
    assert plan.requests == pytest.approx(2, abs=0.1)


def test_more_sequences_than_the_cache_can_hold_are_not_started():
    plan = fitting(LLAMA, gpu(19, (8, 6)))
    assert plan.settings.values.max_num_seqs is not None
    assert plan.settings.values.max_num_seqs < 64


def test_auto_takes_what_is_free_and_evicts_for_no_more_than_a_usual_context():
    config = {"profiles": {"medium": {"max_model_len": "auto"}}}
    old = gpu(80, (8, 0))
    assert fitting(LLAMA, old, config).settings.context == 131072
    assert fitting(LLAMA, used(old, 30, 50), config).settings.context == pytest.approx(55_000, rel=0.05)
    answer = verdict(LLAMA, used(old, 17, 60), config)
    assert isinstance(answer, Missing)
    assert answer.bytes < 5 * GIB


def test_gentler_means_less_cache_then_a_shorter_context_then_no_graphs():
    roomy = [fitting(LLAMA, gpu(80), attempt=attempt) for attempt in range(4)]
    assert len({plan.settings.estimate.kv_cache for plan in roomy}) == 4
    assert {plan.settings.context for plan in roomy} == {8192}
    assert [plan.settings.values.enforce_eager for plan in roomy] == [None, None, None, True]
    tight = [fitting(LLAMA, gpu(20, (8, 6)), attempt=attempt).settings.context for attempt in range(4)]
    assert tight == sorted(tight, reverse=True)
    assert tight[3] < tight[1] < tight[0]
    assert "ran out of memory" in roomy[1].settings.notes[-1]


def test_what_was_measured_counts_instead_of_the_estimate():
    measured = ReportedMemory(weights=15 * GIB, overhead=3 * GIB, kv_request=2 * GIB, context=8192)
    plan = fitting(LLAMA, gpu(80), measured=measured)
    assert (plan.settings.estimate.weights, plan.settings.estimate.overhead) == (15 * GIB, 3 * GIB)
    assert plan.requests == pytest.approx(plan.settings.estimate.kv_cache / (2 * GIB), abs=0.1)


def test_gpus_that_report_nothing_are_left_to_vllm():
    blind = Hardware("rocm", (0,), 64 * GIB, 64 * GIB)
    settings = choose(LLAMA, blind)
    assert settings.context == 8192
    assert settings.values.gpu_memory_utilization is None
    assert settings.notes[-1] == "the GPU's memory can't be read: nothing is planned"


@pytest.mark.parametrize(
    ("text", "sizes"),
    [("24G", [24]), ("2x80GiB", [80, 80]), ("47.5", [47.5]), ("0", None), ("big", None), ("x8G", None)],
)
def test_gpus_can_be_imagined(text: str, sizes: list[float] | None):
    found = imagined(text)
    assert (found and [one.total / GIB for one in found]) == sizes


def test_only_the_gpus_that_are_visible_count():
    machine = gpu(24, count=4)
    assert [one.index for one in machine.visible("1, 3").gpus] == [1, 3]
    assert machine.visible("GPU-8932f937") == machine

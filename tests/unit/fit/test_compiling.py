"""Whether a model loads eagerly first, and what people read about it."""

from __future__ import annotations

import pytest

from vllama.config.schema import Settings
from vllama.fit.compiling import for_compiling, loads, may_be_eager_first, without_code
from vllama.fit.hardware import Hardware
from vllama.fit.memory import GIB, MemoryEstimate
from vllama.fit.settings import EffectiveSettings

CPU, GPU = Hardware("cpu", (0, 1), GIB, GIB), Hardware("cuda", (0, 1), GIB, GIB)


def settings(kv=GIB, **values):
    return EffectiveSettings("small", "cpu", Settings(**values), MemoryEstimate(GIB, kv, GIB))


def first(made, task="generate", hardware=CPU, mode="auto"):
    return may_be_eager_first(made, task, hardware, mode)


def test_a_model_on_a_cpu_loads_eagerly_first():
    assert first(settings())


@pytest.mark.parametrize("eager", [True, False])
def test_a_configured_enforce_eager_decides(eager):
    assert not first(settings(enforce_eager=eager))


@pytest.mark.parametrize(
    "values",
    [{"extra_args": ("--compilation-config", "{}")}, {"extra_args": ("-O2",)}, {"env": {"VLLM_USE_AOT_COMPILE": "0"}}],
)
def test_a_configured_way_to_compile_decides(values):
    assert not first(settings(**values))


def test_gpus_embedding_models_and_other_modes_do_not():
    assert not first(settings(), hardware=GPU)
    assert not first(settings(), task="embed")
    assert not first(settings(), mode="always")
    assert not first(settings(), mode="never")


def test_the_eager_engine_has_the_same_settings_and_says_why_it_is_eager():
    made = without_code(settings(max_num_seqs=7))
    assert (made.values.enforce_eager, made.values.max_num_seqs) == (True, 7)
    assert "enforce_eager" in made.origins
    assert any("compiled code" in note for note in made.notes)


def test_the_engine_that_compiles_has_room_for_one_request_only():
    made = for_compiling(settings(kv=4 * GIB), 40.0)
    assert made.values.kv_cache_memory == made.estimate.kv_cache
    assert GIB // 10 < made.estimate.kv_cache < GIB // 4
    assert for_compiling(settings(kv=1 << 20), 1.0).estimate.kv_cache == 1 << 20


def test_people_read_what_the_loads_do():
    def said(made, *, eager_first=False, has_code=False):
        return loads(made, eager_first=eager_first, has_code=has_code)

    assert said(settings(enforce_eager=True)) == "loads eagerly, without compiled code"
    assert "in the cache" in said(settings(), eager_first=True, has_code=True)
    assert "first load is eager" in said(settings(), eager_first=True)
    assert "first load compiles" in said(settings())

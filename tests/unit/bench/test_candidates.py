from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.bench.candidates import AS_IT_IS, Candidate, candidates, together
from vllama.config.schema import Settings
from vllama.fit.hardware import Gpu, Hardware

GIB = 1 << 30
CPU = Hardware("cpu", (0, 1, 2, 3), 64 * GIB, 60 * GIB)
NOTHING = frozenset[str]()


def gpu(size: int) -> Hardware:
    return Hardware("cuda", (0, 1), 64 * GIB, 60 * GIB, (Gpu(0, "GPU", size * GIB, size * GIB),))


def values(hardware: Hardware, key: str, now: dict | None = None) -> list:
    return [c.changes[key] for c in candidates(hardware, now or {}, NOTHING) if key in c.changes]


@given(
    st.sampled_from([CPU, gpu(16), gpu(24), gpu(32), gpu(80), gpu(141)]),
    st.fixed_dictionaries({}, optional={"max_num_seqs": st.integers(1, 512), "max_num_batched_tokens": st.just(8192)}),
)
def test_each_candidate_is_a_valid_change_of_one_setting(hardware, now):
    found = candidates(hardware, now, NOTHING)
    assert 2 <= len(found) <= 8  # every one costs the start of an engine
    assert len({one.name for one in found}) == len(found)
    for one in found:
        Settings.model_validate(one.changes)
        ((key, value),) = one.changes.items()
        assert now.get(key) != value


@pytest.mark.parametrize(("hardware", "steps"), [(CPU, [1024, 4096]), (gpu(24), [4096, 8192])])
def test_vllms_own_step_is_not_tried_again(hardware, steps):
    assert values(hardware, "max_num_batched_tokens") == steps


def test_the_step_of_the_profile_is_not_tried_again():
    assert values(gpu(80), "max_num_batched_tokens", {"max_num_batched_tokens": 8192}) == [4096, 16384]


def test_a_cpu_is_tried_with_a_core_left_and_with_threads_bound_to_the_cores():
    assert values(CPU, "env") == [{"OMP_NUM_THREADS": "3"}]
    assert values(CPU, "cpu_threads") == ["0-3"]
    assert values(gpu(24), "env") == values(gpu(24), "cpu_threads") == []


def test_all_hardware_threads_are_tried_where_one_of_each_core_computes():
    machine = replace(CPU, first_threads=(0, 2))
    assert values(machine, "env") == [{"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "4"}]
    assert values(machine, "cpu_threads") == ["0,2"]


def test_a_single_core_has_nothing_to_leave_and_no_thread_to_bind():
    machine = Hardware("cpu", (3,), GIB, GIB)
    assert values(machine, "env") == values(machine, "cpu_threads") == []


def test_the_rest_of_the_environment_stays():
    assert values(CPU, "env", {"env": {"A": "1"}}) == [{"A": "1", "OMP_NUM_THREADS": "3"}]
    assert values(CPU, "env", {"env": {"OMP_NUM_THREADS": "2"}}) == []


def test_what_a_person_decided_stays():
    found = candidates(CPU, {"max_num_seqs": 7}, frozenset({"max_num_seqs", "cpu_threads"}))
    assert {key for one in found for key in one.changes} == {"max_num_batched_tokens", "env"}


def test_winners_are_put_together():
    one, other = Candidate({"max_num_seqs": 64}), Candidate({"cpu_threads": "0"})
    both = together({"max_num_seqs": one, "cpu_threads": other})
    assert both is not None
    assert both.changes == {"max_num_seqs": 64, "cpu_threads": "0"}
    assert together({"max_num_seqs": one}) is None


def test_names_say_what_is_changed():
    assert Candidate({}).name == AS_IT_IS
    assert Candidate({"max_num_seqs": 64, "cpu_threads": "0"}).name == "max_num_seqs 64, cpu_threads 0"
    assert Candidate({"env": {"A": "1", "OMP_NUM_THREADS": "3"}}).name == "env A=1 OMP_NUM_THREADS=3"

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.observe.joules import Counter, Interval, Reading, Work, share, used

SECONDS = st.floats(0, 100, allow_nan=False)
DEVICES = st.sets(st.sampled_from(["cpu", "gpu0", "gpu1"]))


@st.composite
def works(draw: st.DrawFn) -> tuple[Work, set[str]]:
    leased, first, ended = sorted(draw(st.lists(SECONDS, min_size=3, max_size=3)))
    tokens = st.integers(0, 10_000)
    return Work(leased, first, ended, draw(tokens), draw(tokens)), draw(DEVICES)


@st.composite
def intervals(draw: st.DrawFn) -> list[Interval]:
    """One after the other, from before all requests to after them."""
    cuts = sorted({-1.0, 101.0, *draw(st.lists(SECONDS, max_size=8))})
    joules = st.dictionaries(st.sampled_from(["cpu", "gpu0"]), st.floats(0, 1e6), max_size=2)
    return [Interval(a, b, draw(joules)) for a, b in itertools.pairwise(cuts)]


@given(st.lists(works(), max_size=20), intervals())
def test_the_sum_is_conserved(all_works: list[tuple[Work, set[str]]], found: list[Interval]):
    expected = sum(
        joules
        for i in found
        for device, joules in i.joules.items()
        if any(device in devices and work.tokens(i.begin, i.end) > 0 for work, devices in all_works)
    )
    given_out = sum(part or 0.0 for part in share(found, all_works))
    assert given_out == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(works(), intervals())
def test_every_token_falls_into_exactly_one_interval(one: tuple[Work, set[str]], found: list[Interval]):
    work, _ = one
    assert sum(work.tokens(i.begin, i.end) for i in found) == pytest.approx(work.prompt + work.generated)


@given(st.lists(works(), max_size=8), intervals())
def test_sharing_intervals_one_by_one_gives_the_same(all_works: list[tuple[Work, set[str]]], found: list[Interval]):
    at_once = share(found, all_works)
    steps = [share([one], all_works) for one in found]
    for number, whole in enumerate(at_once):
        parts = [step[number] for step in steps if step[number] is not None]
        assert (whole is None) == (not parts)
        assert sum(part or 0.0 for part in parts) == pytest.approx(whole or 0.0)


def test_joules_follow_the_tokens_of_each_device():
    interval = Interval(0, 10, {"cpu": 30.0, "gpu0": 100.0})
    one, other = Work(0, 5, 10, 100, 100), Work(0, 5, 10, 0, 100)
    assert share([interval], [(one, {"cpu", "gpu0"}), (other, {"cpu"})]) == [pytest.approx(120), pytest.approx(10)]


def test_the_prompt_counts_where_it_was_computed():
    before, after = Interval(0, 5, {"cpu": 50.0}), Interval(5, 10, {"cpu": 80.0})
    long_prompt, long_answer = Work(0, 5, 10, 900, 100), Work(0, 5, 10, 100, 300)
    found = share([before, after], [(long_prompt, {"cpu"}), (long_answer, {"cpu"})])
    assert found == [pytest.approx(45 + 20), pytest.approx(5 + 60)]


def test_what_is_not_measured_is_absent():
    work = Work(0, 1, 2, 10, 10)
    assert share([Interval(0, 2, {})], [(work, {"cpu"})]) == [None]
    assert share([Interval(0, 2, {"gpu0": 5.0})], [(work, {"cpu"})]) == [None]
    (lost,) = share([Interval(0, 1, {"cpu": 5.0}), Interval(1, 2, {"cpu": math.nan})], [(work, {"cpu"})])
    assert lost is not None
    assert math.isnan(lost)


def reading(at: float, **joules: float) -> Reading:
    return Reading(at, {name: Counter("cpu", value, 1000.0) for name, value in joules.items()})


def test_the_meters_of_all_packages_add_up():
    assert used(reading(0, one=10, two=20), reading(5, one=15, two=40)) == {"cpu": 25}


def test_a_meter_that_wraps_around_goes_on():
    assert used(reading(0, one=990), reading(5, one=40)) == {"cpu": pytest.approx(50)}


def test_a_meter_that_may_have_wrapped_twice_is_not_believed():
    assert math.isnan(used(reading(0, one=990), reading(301, one=995))["cpu"])


def test_a_meter_that_is_gone_makes_its_device_unknown():
    assert math.isnan(used(reading(0, one=10, two=20), reading(5, one=15))["cpu"])


def test_a_driver_that_was_loaded_again_makes_its_gpu_unknown():
    before, after = (Reading(at, {"gpu0": Counter("gpu0", joules)}) for at, joules in ((0, 5000.0), (5, 3.0)))
    assert math.isnan(used(before, after)["gpu0"])

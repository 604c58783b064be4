from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.bench.report import FrontEnd, as_json, compare, errors, percentile, table, verdicts
from vllama.bench.samples import Answer, Leg


def leg(target: str, *firsts: float, seconds: float = 1.0, clients: int = 1, tokens: int = 10) -> Leg:
    return Leg(target, clients, seconds, tuple(Answer(first, first + 1, tokens) for first in firsts))


def test_the_ratio_is_that_of_neighbours_so_that_drift_cancels():
    direct = [leg("e", 0.1, seconds=1), leg("e", 0.1, seconds=4), leg("e", 0.1, seconds=2)]
    through = [leg("v", 0.1, seconds=1.25), leg("v", 0.1, seconds=5), leg("v", 0.1, seconds=2.5)]
    row = compare(1, direct, through)
    assert row.tokens_ratio == pytest.approx(0.8)
    assert row.tokens_spread == pytest.approx((0.8, 0.8))


def test_added_time_is_the_difference_of_the_percentiles():
    row = compare(1, [leg("e", 0.010, 0.012, 0.011)], [leg("v", 0.0115, 0.0125, 0.0115)])
    assert row.added_p50 == pytest.approx(0.0005)
    assert row.added_p99 == pytest.approx(0.0005)


def test_failed_answers_are_counted_and_told_but_not_timed():
    bad = Leg("v", 1, 1.0, (Answer(0.0, 9.0, 0, "500: broken"), Answer(0.2, 1, 10)))
    row = compare(1, [leg("e", 0.1, 0.1)], [bad])
    assert row.through.errors == 1
    assert row.through.first_p99 == pytest.approx(0.2)
    assert errors([bad]) == {"v: 500: broken": 1}
    assert [v.met for v in verdicts([row], None) if v.what == "failed requests"] == [False]


def test_verdicts_hold_the_figures_against_the_budget():
    good = compare(1, [leg("e", 0.010)], [leg("v", 0.0105)])
    assert all(v.met for v in verdicts([good], FrontEnd(100_000, 5.0, 70_000_000)))
    slow = compare(1, [leg("e", 0.010)], [leg("v", 0.0125, seconds=1.1)])
    assert not any(v.met for v in verdicts([slow], FrontEnd(100_000, 10.0, 90_000_000))[:-1])


def test_cost_of_an_event():
    cost = FrontEnd(events=50_000, cpu_seconds=2.0, memory=1)
    assert cost.microseconds_per_event == pytest.approx(40)
    assert cost.events_per_core == pytest.approx(25_000)
    assert FrontEnd(0, 0.0, 0).events_per_core == 0


def test_table_and_json_have_a_row_for_each_number_of_clients():
    row = compare(5, [leg("e", 0.1, clients=5)], [leg("v", 0.1, clients=5)])
    head, rows = table([row])
    assert [len(line) for line in rows] == [len(head)]
    assert as_json([row], None, [leg("e", 0.1)])["legs"][0]["answers"][0]["tokens"] == 10


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_and_grows_with_the_share(values, share):
    assert percentile(values, share) in values
    assert percentile(values, 0) == min(values)
    assert percentile(values, 1) == max(values)
    assert percentile(values, share) <= percentile(values, 1)

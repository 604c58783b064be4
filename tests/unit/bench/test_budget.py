from __future__ import annotations

import pytest

from tests.unit.bench.made import leg
from vllama.bench.budget import FrontEnd, as_json, compare, table, verdicts
from vllama.bench.samples import Leg, Sample


def test_the_ratio_is_that_of_neighbours_so_that_drift_cancels():
    direct = [leg("e", 0.1, seconds=pace, round_=round_) for round_, pace in enumerate((1, 4, 2))]
    through = [leg("v", 0.1, seconds=pace, round_=round_) for round_, pace in enumerate((1.25, 5, 2.5))]
    ratio = compare(direct, through).tokens_ratio
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((0.8, 0.8, 0.8))


def test_added_time_is_the_difference_of_the_percentiles():
    row = compare([leg("e", 0.010, 0.012, 0.011)], [leg("v", 0.0115, 0.0125, 0.0115)])
    assert row.added_p50 == pytest.approx(0.0005)
    assert row.added_p99 == pytest.approx(0.0005, abs=1e-4)


def test_failed_answers_are_counted_but_not_timed():
    bad = Leg("v", 1, 1.0, (Sample(9.0, error="500: broken"), Sample(1, 0.2, tokens_out=10)))
    row = compare([leg("e", 0.1, 0.1)], [bad])
    assert row.through.errors == 1
    assert row.through.first is not None
    assert row.through.first.p99 == pytest.approx(0.2)
    assert [v.met for v in verdicts([row], None) if v.what == "failed requests"] == [False]


def test_verdicts_hold_the_figures_against_the_budget():
    good = compare([leg("e", 0.010)], [leg("v", 0.0104)])
    assert all(v.met for v in verdicts([good], FrontEnd(100_000, 3.0, 70_000_000)))
    slow = compare([leg("e", 0.010)], [leg("v", 0.0125, seconds=1.1)])
    assert not any(v.met for v in verdicts([slow], FrontEnd(100_000, 10.0, 90_000_000))[:-1])


def test_cost_of_an_event():
    cost = FrontEnd(events=50_000, cpu_seconds=2.0, memory=1)
    assert cost.microseconds_per_event == pytest.approx(40)
    assert cost.events_per_core == pytest.approx(25_000)
    assert FrontEnd(0, 0.0, 0).events_per_core == 0


def test_table_and_json_have_a_row_for_each_number_of_clients():
    row = compare([leg("e", 0.1, clients=5)], [leg("v", 0.1, clients=5)])
    head, rows = table([row])
    assert [len(line) for line in rows] == [len(head)]
    assert as_json([row], None, [leg("e", 0.1)])["legs"][0]["samples"][0]["tokens_out"] == 10

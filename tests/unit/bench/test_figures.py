from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bench.made import PAIR, leg
from vllama.bench.figures import figures, percentile, percentiles, ratios, spread, table_of
from vllama.bench.samples import Leg, Sample

VALUES = st.lists(st.floats(0, 1e6), min_size=1)
SHARES = st.floats(0, 1)


@given(VALUES, SHARES)
def test_a_percentile_lies_between_two_of_the_values(values, share):
    found = percentile(values, share)
    below = [value for value in values if value <= found]
    above = [value for value in values if value >= found]
    assert below
    assert above
    assert percentile(values, 0) == min(values)
    assert percentile(values, 1) == max(values)


@given(VALUES, SHARES, SHARES)
def test_a_percentile_grows_with_the_share(values, one, other):
    low, high = sorted((one, other))
    assert percentile(values, low) <= percentile(values, high) + 1e-9 * max(values)


@given(VALUES)
def test_half_way_is_the_median(values):
    assert percentile(values, 0.5) == pytest.approx(statistics.median(values))


@given(VALUES, SHARES, st.randoms())
def test_the_order_of_the_values_does_not_matter(values, share, chance):
    mixed = list(values)
    chance.shuffle(mixed)
    assert percentile(mixed, share) == percentile(values, share)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50), st.integers(1, 99))
def test_percentiles_are_counted_as_the_standard_library_counts_them(values, percent):
    expected = statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
    assert percentile(values, percent / 100) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(VALUES)
def test_median_lies_in_its_spread(values):
    found = spread(values)
    assert found.low <= found.median <= found.high
    assert {found.low, found.high} <= {*values}


def test_nothing_has_no_percentiles():
    assert percentiles([]) is None
    assert percentile([], 0.5) == 0
    assert spread([]).median == 0


def test_figures_pool_samples_and_take_medians_over_rounds():
    rounds = [leg("v", 0.1, 0.3, seconds=1), leg("v", 0.2, 0.2, seconds=4), leg("v", 0.2, 0.2, seconds=2)]
    found = figures(rounds)
    assert found.tokens_per_second.median == 10
    assert (found.tokens_per_second.low, found.tokens_per_second.high) == (5, 20)
    assert found.requests_per_second.median == 1
    assert found.first is not None
    assert found.gap is not None
    assert found.first.p50 == pytest.approx(0.2)
    assert found.gap.mean == pytest.approx(0.15)
    assert (found.tokens_in, found.tokens_out, found.requests, found.errors) == (50, 10, 6, 0)


def test_time_per_token_leaves_the_first_one_out():
    assert Sample(total=1.1, first=0.1, tokens_out=11).per_token == pytest.approx(0.1)
    assert Sample(total=1.1, first=0.1, tokens_out=1).per_token is None
    assert Sample(total=1.1, tokens_out=11).per_token is None


def test_failed_requests_count_as_none_answered():
    found = figures([Leg("v", 1, 2.0, (Sample(1, 0.1, tokens_in=4, tokens_out=10), Sample(1, error="gone")))])
    assert found.requests_per_second.median == 0.5
    assert found.tokens_per_second.median == 5
    assert (found.errors, found.tokens_in) == (1, 4)


def test_where_all_failed_there_is_nothing_to_time():
    found = figures([Leg("v", 1, 2.0, (Sample(1, error="gone"),))])
    assert (found.first, found.gap, found.total, found.tokens_out) == (None, None, None, 0)


def test_rows_are_by_clients_and_targets_in_the_order_of_measuring():
    assert [(row.clients, row.target) for row in table_of(PAIR)] == [
        (1, "ours"),
        (1, "theirs"),
        (4, "ours"),
        (4, "theirs"),
    ]


def test_ratios_hold_although_the_machine_became_slower():
    for ratio in ratios(PAIR, "ours"):
        assert ratio.target == "theirs"
        assert ratio.tokens_per_second is not None
        assert (ratio.tokens_per_second.low, ratio.tokens_per_second.high) == pytest.approx((0.5, 0.5))
        assert ratio.first is not None
        assert ratio.first.median == pytest.approx(1)


def test_there_is_no_ratio_to_what_made_nothing():
    broken = Leg("ours", 1, 1.0, (Sample(1, error="gone"),))
    (ratio,) = ratios([broken, leg("theirs", 0.1)], "ours")
    assert (ratio.tokens_per_second, ratio.first) == (None, None)

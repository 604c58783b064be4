from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st

from vllama.bench.rounds import BenchPlan, orders, turns

PLANS = st.builds(
    BenchPlan,
    st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True).map(tuple),
    st.integers(1, 6),
    st.integers(1, 4),
)
TARGETS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)


@given(PLANS, TARGETS)
def test_all_targets_stand_next_to_each_other_in_every_round(plan, targets):
    order = list(turns(plan, targets))
    assert len(order) == plan.rounds * len(plan.clients) * len(targets)
    for start in range(0, len(order), len(targets)):
        group = order[start : start + len(targets)]
        assert {turn.target for turn in group} == {*targets}
        assert len({(turn.round, turn.clients, turn.requests) for turn in group}) == 1


@given(st.integers(1, 9))
def test_everyone_has_each_place_and_follows_everyone_else_equally_often(count):
    rows = orders(count)
    assert len(rows) == (1 if count == 1 else count if count % 2 == 0 else 2 * count)
    for place in zip(*rows, strict=True):
        assert Counter(place) == dict.fromkeys(range(count), len(rows) // count)
    followed = Counter(pair for row in rows for pair in pairwise(row))
    assert followed == dict.fromkeys(permutations(range(count), 2), len(rows) // count)


@given(st.integers(2, 9))
def test_where_two_orders_meet_nobody_has_a_neighbour_more(count):
    rows = orders(count)
    met = sum(before[-1] != after[0] for before, after in pairwise(rows))
    assert met == (0 if count % 2 else count // 2 - 1)


@given(st.integers(1, 3), TARGETS, PLANS)
def test_the_balance_holds_at_each_number_of_clients(times, targets, plan):
    rounds = times * len(orders(len(targets)))
    order = list(turns(BenchPlan(plan.clients, rounds), targets))
    for clients in plan.clients:
        legs = [turn.target for turn in order if turn.clients == clients]
        groups = [legs[at : at + len(targets)] for at in range(0, len(legs), len(targets))]
        followed = Counter(pair for group in groups for pair in pairwise(group))
        assert len(set(followed.values())) <= 1
        assert len(followed) == len(targets) * (len(targets) - 1)
        assert set(Counter(group[0] for group in groups).values()) == {rounds // len(targets)}


@given(PLANS, st.integers(1, 64))
def test_a_leg_is_never_one_slow_answer(plan, clients):
    assert plan.in_leg(clients) >= max(8, clients)

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from vllama.bench.rounds import Plan, turns

PLANS = st.builds(
    Plan,
    st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True).map(tuple),
    st.integers(1, 6),
    st.integers(1, 4),
)
TARGETS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)


@given(PLANS, TARGETS)
def test_all_targets_stand_beside_each_other_in_every_round(plan, targets):
    order = list(turns(plan, targets))
    assert len(order) == plan.rounds * len(plan.clients) * len(targets)
    for start in range(0, len(order), len(targets)):
        group = order[start : start + len(targets)]
        assert {turn.target for turn in group} == {*targets}
        assert len({(turn.round, turn.clients, turn.requests) for turn in group}) == 1


@given(st.integers(1, 4), TARGETS)
def test_everyone_is_first_equally_often(times, targets):
    order = list(turns(Plan((1,), times * len(targets)), targets))
    first = Counter(turn.target for turn in order[:: len(targets)])
    assert {*first.values()} == {times}


@given(PLANS, st.integers(1, 64))
def test_a_leg_is_never_one_slow_answer(plan, clients):
    assert plan.in_leg(clients) >= max(8, clients)

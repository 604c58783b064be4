"""Who makes room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.supervisor.policy import Resident, choose_victims

SMALL = Resident("small", size=2, used_at=10, ready_since=0, busy=False)
OLD = Resident("old", size=8, used_at=20, ready_since=0, busy=False)
FRESH = Resident("fresh", size=8, used_at=30, ready_since=0, busy=False)
BUSY = Resident("busy", size=8, used_at=40, ready_since=0, busy=True)


def test_the_least_recently_used_goes_first():
    assert choose_victims([FRESH, BUSY, OLD], 5, 100, 15) == ("old",)


def test_a_small_engine_stays_where_a_big_one_has_to_go_anyway():
    assert choose_victims([SMALL, OLD, FRESH], 5, 100, 15) == ("old",)
    assert choose_victims([SMALL, OLD], 9, 100, 15) == ("small", "old")


def test_who_is_idle_stays_too_when_only_the_busy_ones_room_helps():
    assert choose_victims([SMALL, BUSY], 8, 100, 15) == ("busy",)


def test_a_young_engine_is_not_taken():
    assert choose_victims([OLD], 5, 14, 15) == ()


residents = st.builds(
    Resident,
    key=st.text("abcdef", min_size=4, max_size=4),
    size=st.integers(1, 20),
    used_at=st.integers(0, 50).map(float),
    ready_since=st.integers(0, 50).map(float),
    busy=st.booleans(),
)


@given(st.lists(residents, max_size=6, unique_by=lambda r: r.key), st.integers(1, 60))
def test_enough_go_and_nobody_whose_end_would_not_help(found: list[Resident], missing: int):
    sizes = {r.key: r.size for r in found}
    gone = choose_victims(found, missing, 60.0, 15.0)
    freed = sum(sizes[key] for key in gone)
    if gone:
        assert freed >= missing
        assert all(freed - sizes[key] < missing for key in gone)
    else:
        assert sum(r.size for r in found if 60.0 - r.ready_since >= 15.0) < missing

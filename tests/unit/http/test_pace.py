from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.http.pace import Pace


def test_nothing_for_a_patience_is_too_slow_and_anything_begins_it_again():
    pace = Pace.begin(0.0, 10)
    assert not pace.too_slow(59.0, 10, 60.0, 1)
    assert not pace.too_slow(60.0, 11, 60.0, 0)
    assert not pace.too_slow(119.0, 11, 60.0, 0)
    assert pace.too_slow(120.0, 11, 60.0, 0)


def test_a_trickle_is_too_slow_over_three_patiences():
    pace = Pace.begin(0.0, 0)
    assert not any(pace.too_slow(float(second), second, 60.0, 100) for second in range(180))
    assert pace.too_slow(180.0, 180, 60.0, 100)


@given(st.lists(st.floats(0.1, 5.0), min_size=1, max_size=400), st.integers(1, 1 << 20))
def test_a_client_that_is_always_fast_enough_is_never_too_slow(steps, least):
    pace, now, moved = Pace.begin(0.0, 0), 0.0, 0
    for step in steps:
        now += step
        moved += int(step * least) + 1
        assert not pace.too_slow(now, moved, 10.0, least)

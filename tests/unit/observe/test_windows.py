from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllama.observe.windows import LONGEST, Count, Windows

NOW = 1_800_000_000.0
"""Begins a slot of either ring."""
HOUR = 3600.0
SIZES = (300.0, 1800.0, HOUR, 6 * HOUR, 72 * HOUR, 30 * 24 * HOUR, LONGEST)


def slot(seconds: float) -> float:
    return 30.0 if seconds <= 6 * HOUR else HOUR


def test_an_empty_window_has_no_events():
    assert [Windows().count(NOW, size) for size in SIZES] == [Count(0, 0)] * len(SIZES)


@pytest.mark.parametrize("size", SIZES)
def test_an_event_leaves_a_window_when_its_time_is_over(size: float):
    windows = Windows()
    windows.add(NOW, bad=True)
    assert windows.count(NOW + size - 1, size) == Count(1, 1)
    assert windows.count(NOW + size, size) == Count(0, 0)


def test_a_clock_that_goes_back_loses_nothing():
    windows = Windows()
    windows.add(NOW, bad=False)
    windows.add(NOW - 10 * HOUR, bad=True)
    assert windows.count(NOW - 20 * HOUR, 300) == Count(2, 1)
    assert windows.count(NOW, 300) == Count(2, 1)


def test_years_without_a_request_empty_every_window():
    windows = Windows()
    windows.add(NOW, bad=True)
    assert windows.count(NOW + 5 * 365 * 24 * HOUR, LONGEST) == Count(0, 0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 40 * HOUR), st.booleans()), max_size=60))
def test_windows_count_what_a_list_of_all_events_counts(steps: list[tuple[float, bool]]):
    windows, events, now = Windows(), list[tuple[float, bool]](), NOW
    for pause, bad in steps:
        now += pause
        windows.add(now, bad=bad)
        events.append((now, bad))
    for size in SIZES:
        first = (now // slot(size) + 1) * slot(size) - size
        within = [bad for at, bad in events if at >= first]
        assert windows.count(now, size) == Count(len(within), sum(within))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 100 * HOUR), st.booleans()), max_size=40), st.floats(0, 200 * HOUR))
def test_what_is_kept_counts_as_before_also_after_a_time_off(steps: list[tuple[float, bool]], off: float):
    windows, now = Windows(), NOW
    for pause, bad in steps:
        now += pause
        windows.add(now, bad=bad)
    again = Windows()
    again.restore(now + off, **windows.kept())
    for size in SIZES:
        assert again.count(now + off, size) == windows.copy().count(now + off, size)


@pytest.mark.parametrize("row", [(1, -1, 0), (1, 1, 2), (1, 1 << 70, 0)])
def test_what_can_be_no_count_is_refused(row: tuple[int, int, int]):
    with pytest.raises(ValueError, match="no count"):
        Windows().restore(NOW, [row], [])

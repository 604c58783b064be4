from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.times import local_time, utc_time


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (1795263743_100000000, "2026-11-21T12:22:23.1Z"),
        (1795263743_000000000, "2026-11-21T12:22:23Z"),
        (1795263743_000000001, "2026-11-21T12:22:23.000000001Z"),
    ],
)
def test_zeros_at_the_end_are_trimmed(ns, text):
    assert utc_time(ns) == text


@given(st.integers(0, 4 * 10**18))
def test_is_the_time_it_says(ns):
    text = utc_time(ns)
    whole, _, fraction = text.removesuffix("Z").partition(".")
    assert datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() == ns // 10**9
    assert int((fraction or "0").ljust(9, "0")) == ns % 10**9


def test_local_times_carry_their_offset():
    assert local_time(1795263743.5, 7200) == "2026-11-21T14:22:23.5+02:00"
    assert local_time(1795263743.5, -12600) == "2026-11-21T08:52:23.5-03:30"
    assert local_time(1795263743.5, 0) == "2026-11-21T12:22:23.5Z"

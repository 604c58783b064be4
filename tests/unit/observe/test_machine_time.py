"""The machine's time is shared by those for whom engines work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.observe.machine_time import MachineTime


def test_two_side_by_side_have_half_of_it_each():
    now = [10.0]
    machine = MachineTime(lambda: now[0])
    first = machine.begin()
    now[0] += 4
    second = machine.begin()
    now[0] += 2
    assert machine.end(first) == pytest.approx(5)
    now[0] += 3
    assert machine.end(second) == pytest.approx(4)
    now[0] += 100
    idle = machine.begin()
    assert machine.end(idle) == 0


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.01, 10)), max_size=20))
def test_the_shares_add_up_to_the_time_in_which_anything_ran(requests):
    now = [0.0]
    machine = MachineTime(lambda: now[0])
    events = sorted(event for n, (at, length) in enumerate(requests) for event in ((at, 1, n), (at + length, 2, n)))
    begun: dict[int, float] = {}
    total = busy = 0.0
    for at, kind, number in events:
        busy += at - now[0] if begun else 0.0
        now[0] = at
        if kind == 1:
            begun[number] = machine.begin()
        else:
            total += machine.end(begun.pop(number))
    assert total == pytest.approx(busy)

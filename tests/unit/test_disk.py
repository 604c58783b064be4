"""Reads that may never return."""

from __future__ import annotations

import threading

import pytest

from vllama.disk import Reads

FOREVER = 60.0


async def test_a_read_gives_what_it_found_or_raises_what_it_met():
    def broken() -> int:
        raise KeyError("x")

    reads = Reads()
    assert reads.wait("a", lambda: 1, FOREVER) == await reads.done("a", lambda: 1, FOREVER) == 1
    with pytest.raises(KeyError):
        reads.wait("a", broken, FOREVER)
    with pytest.raises(KeyError):
        await reads.done("a", broken, FOREVER)


async def test_a_read_that_hangs_is_given_up_and_not_begun_again_before_it_ends():
    gate, late = threading.Event(), threading.Event()
    begun: list[int] = []

    def hangs() -> int:
        begun.append(1)
        gate.wait()
        return 1

    reads = Reads(late.set)
    with pytest.raises(TimeoutError):
        await reads.done("a", hangs, 0.01)
    with pytest.raises(TimeoutError):
        reads.wait("a", hangs, FOREVER)
    assert reads.wait("b", lambda: 2, FOREVER) == 2, "other keys are free"
    assert begun == [1]
    gate.set()
    assert late.wait(FOREVER)
    assert reads.wait("a", hangs, FOREVER) == 1

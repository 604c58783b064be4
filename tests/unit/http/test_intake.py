"""Bodies share a total: what is too much waits, is refused, or is given up; and all room comes back."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from hypothesis import given, settings
from hypothesis import strategies as st

from vllama.errors import Busy, SlowBody
from vllama.http.intake import SMALL, Intake

LARGE = 4 * SMALL
TOTAL = 16 * SMALL


class Open(BaseProtocol):
    """A connection that stays."""

    @property
    def connected(self) -> bool:
        return True


class Sent:
    """As much of a request as ``Intake`` looks at; ``feed`` is the client's side."""

    def __init__(self, length: int | None, *parts: bytes, whole: bool = True) -> None:
        loop = asyncio.get_running_loop()
        self.content_length = length
        self.content = StreamReader(Open(loop), 1 << 30, loop=loop)
        for part in parts:
            self.content.feed_data(part)
        if whole:
            self.content.feed_eof()


async def read(intake: Intake, sent: Sent) -> bytes:
    async with intake.body(sent) as data:
        return data


@pytest.mark.parametrize("length", [3, None])
async def test_a_body_comes_as_it_was_sent(length):
    intake = Intake(TOTAL, LARGE)
    sent = Sent(length, b"a", whole=False)
    reading = asyncio.create_task(read(intake, sent))
    await asyncio.sleep(0)
    sent.content.feed_data(b"bc")
    sent.content.feed_eof()
    assert await reading == b"abc"
    assert intake.used == 0


async def test_a_body_that_is_too_long_is_refused_before_it_is_read_if_it_says_so():
    intake = Intake(TOTAL, LARGE)
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        await read(intake, Sent(LARGE + 1, whole=False))
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        await read(intake, Sent(None, b"x" * SMALL, b"x" * LARGE))
    assert intake.used == 0


async def test_what_finds_no_room_waits_its_turn_and_is_refused_in_the_end():
    intake = Intake(TOTAL, LARGE, patience=0.05)
    first = [Sent(LARGE, b"x", whole=False) for _ in range(3)]
    reading = [asyncio.create_task(read(intake, sent)) for sent in first]
    await asyncio.sleep(0)
    with pytest.raises(Busy) as refused:
        await read(intake, Sent(LARGE, b"x", whole=False))
    assert refused.value.retry_after
    assert await read(intake, Sent(5, b"small")) == b"small"
    waiting = asyncio.create_task(read(intake, Sent(LARGE, b"y" * LARGE)))
    first[0].content.feed_eof()
    assert len(await waiting) == LARGE
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    assert intake.used == 0


async def test_a_body_larger_than_all_the_room_is_read_alone():
    intake = Intake(SMALL, LARGE)
    assert len(await read(intake, Sent(LARGE, b"x" * LARGE, whole=True))) == LARGE


async def test_while_others_wait_a_slow_body_is_given_up():
    intake = Intake(TOTAL, LARGE, grace=0.0)
    slow = [asyncio.create_task(read(intake, Sent(LARGE, b"x", whole=False))) for _ in range(3)]
    await asyncio.sleep(0)
    assert len(await read(intake, Sent(LARGE, b"y" * (SMALL + 1), b"y"))) == SMALL + 2
    async with asyncio.timeout(10):
        waited = await read(intake, Sent(LARGE, b"y", whole=True))
    assert waited == b"y"
    for task in slow:
        task.cancel()
    ended = await asyncio.gather(*slow, return_exceptions=True)
    assert any(isinstance(one, SlowBody) for one in ended)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, LARGE + 5)), st.booleans(), st.booleans()), max_size=20))
def test_all_room_comes_back_however_bodies_end(plans):
    async def run() -> None:
        intake = Intake(TOTAL, LARGE, patience=0.01)
        tasks = []
        for number, (length, whole, leaves) in zip(itertools.count(), plans, strict=False):
            task = asyncio.create_task(read(intake, Sent(length, b"x" * (number % 3), whole=whole)))
            await asyncio.sleep(0)
            assert intake.used <= TOTAL
            if leaves or not whole:
                task.cancel()
            tasks.append(task)
        for task in tasks:
            with suppress(asyncio.CancelledError, Busy, web.HTTPRequestEntityTooLarge):
                await task
        assert intake.used == 0

    asyncio.run(run())

"""When the engines are looked at, and what is made of two looks."""

from __future__ import annotations

import asyncio

from vllama.errors import EngineGone
from vllama.observe.watch import Watch


class Counting:
    """An engine's client whose generated tokens go up with each scrape."""

    def __init__(self, *tokens: int | None) -> None:
        self.tokens = list(tokens)
        self.scrapes = 0

    async def get(self, path: str, timeout: float) -> bytes:
        self.scrapes += 1
        tokens = self.tokens.pop(0)
        if tokens is None:
            raise EngineGone("gone")
        return b"vllm:generation_tokens_total %d\n" % tokens


class House:
    def __init__(self, **clients: Counting) -> None:
        self.now = 100.0
        self.made = clients
        self.watch = Watch(self, lambda: self.now)

    def clients(self):
        return self.made

    def snapshot(self):
        return ()


async def test_all_who_ask_at_once_see_the_same():
    house = House(tiny=Counting(5))
    first, second = await asyncio.gather(house.watch.sight(), house.watch.sight())
    assert first is second
    assert await house.watch.sight() is first
    assert house.made["tiny"].scrapes == 1


async def test_a_rate_is_what_came_since_the_look_before():
    house = House(tiny=Counting(100, 150))
    assert (await house.watch.sight()).rates == {}
    house.now += 2
    assert (await house.watch.sight()).rates == {"tiny": 25}


async def test_an_engine_that_was_started_anew_has_no_rate_at_first():
    house = House(tiny=Counting(100, 3))
    await house.watch.sight()
    house.now += 2
    assert (await house.watch.sight()).rates == {}


async def test_an_engine_that_does_not_answer_is_left_out_and_the_others_are_seen():
    house = House(tiny=Counting(None), other=Counting(7))
    sight = await house.watch.sight()
    assert (sight.gauges["tiny"].generated_tokens, sight.gauges["other"].generated_tokens) == (None, 7)


async def test_one_who_leaves_while_it_waits_takes_the_look_from_nobody():
    house = House(tiny=Counting(5))
    leaving, staying = asyncio.create_task(house.watch.sight()), asyncio.create_task(house.watch.sight())
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).gauges["tiny"].generated_tokens == 5

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.unit.observe.seen import Seen
from vllama.caller import NOBODY
from vllama.observe.books import Books
from vllama.observe.energy import Energy
from vllama.observe.joules import Counter, Reading
from vllama.observe.meter import Meter
from vllama.observe.metrics import Metrics
from vllama.observe.spent import Spent

TINY = Seen(1)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class World:
    """A machine whose meters a test turns, and what each request was given."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.joules: dict[str, float] = {"cpu": 0.0}
        self.given: list[tuple[Spent, float]] = []
        self.energy = Energy(lambda spent, joules: self.given.append((spent, joules)), clock=self.clock)
        self.note()

    def note(self, *live: Any, engines: tuple[Any, ...] = (TINY,)) -> None:
        counters = {name: Counter(name, joules) for name, joules in self.joules.items()}
        asyncio.run(self.energy.note(Reading(self.clock.now, counters), engines, live))

    def passes(self, seconds: float, watts: float, *live: Any, device: str = "cpu", **more: Any) -> None:
        self.clock.now += seconds
        self.joules[device] += watts * seconds
        self.note(*live, **more)

    def request(self, seconds: float, *, prompt: int = 0, generated: int = 100, **more: Any) -> Spent:
        """One that ends now."""
        spent = Spent(NOBODY, "/api/chat", "tiny", 200, seconds, waiting=0.0, first_token=0.0, engine="key-tiny")
        spent = replace(spent, prompt_tokens=prompt, generated_tokens=generated, **more)
        self.energy.take(spent)
        return spent

    def metric(self, name: str) -> dict[tuple[str, ...], float]:
        families = {family.name: family for family in self.energy.collect()}
        if name not in families:
            return {}
        return {tuple(sample.labels.values()): sample.value for sample in families[name].samples}


def live(world: World, *, reads: int = 0, waiting: float | None = 0.0) -> Meter:
    meter = Books(Metrics(_NoEngines())).meter("/api/chat", "long")
    meter.model, meter.engine, meter.waiting, meter.reads = "tiny", "key-tiny", waiting, reads
    meter.began, meter.first_token = world.clock.now, 0.0
    return meter


class _NoEngines:
    def snapshot(self) -> tuple[()]:
        return ()

    def clients(self) -> dict[str, Any]:
        return {}


def test_idle_power_is_told_and_given_to_no_request():
    world = World()
    world.passes(5, 41)
    world.passes(5, 41)
    assert world.energy.idle_watts() == {"cpu": pytest.approx(41)}
    assert world.metric("vllama_idle_watts") == {("cpu",): pytest.approx(41)}
    world.clock.now += 1
    spent = world.request(1)
    world.passes(4, 101 * 5 / 4)
    assert world.given == [(spent, pytest.approx(60 * 5))]
    assert world.metric("vllama_request_joules") == {("tiny",): pytest.approx(300)}
    assert world.metric("vllama_energy_joules") == {("cpu",): pytest.approx(41 * 10 + 505)}


def test_requests_of_an_interval_share_by_their_tokens():
    world = World()
    world.clock.now += 4
    world.request(3, generated=100, prompt=250, cached_tokens=50)
    world.request(2, generated=100)
    world.passes(1, 400)
    assert [joules for _, joules in world.given] == [pytest.approx(300), pytest.approx(100)]


def test_a_request_waits_for_its_joules_until_the_others_of_the_interval_have_ended():
    world = World()
    meter = live(world)
    world.clock.now += 2
    short = world.request(2, generated=100)
    world.passes(3, 100, meter)
    assert world.given == []
    world.clock.now += 5
    long = world.request(10, generated=200, request_id="long", began=meter.at)
    world.joules["cpu"] += 500
    world.note()
    assert [spent for spent, _ in world.given] == [short, long]
    assert [joules for _, joules in world.given] == [pytest.approx(150), pytest.approx(150 + 500)]


def test_an_answer_without_end_does_not_keep_the_others_waiting():
    world = World()
    meter = live(world)
    world.clock.now += 5
    world.request(5, generated=100)
    world.joules["cpu"] += 500
    world.note(meter)
    for number in range(1, 14):
        meter.reads = 100 * (number + 1)
        world.passes(5, 100, meter)
    ((_, joules),) = world.given
    assert joules == pytest.approx(250)
    world.clock.now += 1
    spent = world.request(71, generated=1400, request_id="long", began=meter.at)
    world.joules["cpu"] += 100
    world.note()
    assert world.given[1] == (spent, pytest.approx(250 + 13 * 500 + 100))


def test_a_client_that_left_pays_for_the_tokens_that_came():
    world = World()
    world.clock.now += 5
    left = world.request(5, generated=0, reads=100)
    world.request(5, generated=100)
    world.passes(0.1, 4000)
    assert world.given[0] == (left, pytest.approx(200))


def test_nothing_is_given_where_nothing_is_measured():
    world = World()
    world.joules.clear()
    world.clock.now += 5
    world.note()
    world.request(1)
    world.clock.now += 5
    world.note()
    assert world.given == []
    assert world.metric("vllama_request_joules") == {}


def test_an_engine_on_a_gpu_is_billed_for_that_gpu_and_the_processor():
    world = World()
    world.joules |= {"gpu0": 0.0, "gpu1": 0.0}
    engine = Seen(1, gpus=(1,))
    world.clock.now += 1
    world.note(engines=(engine,))
    world.clock.now += 5
    world.request(5)
    for device, joules in (("cpu", 10), ("gpu0", 500), ("gpu1", 1000)):
        world.joules[device] += joules
    world.note(engines=(engine,))
    assert [joules for _, joules in world.given] == [pytest.approx(1010)]


def test_the_power_of_a_load_does_not_count_as_idle():
    world = World()
    world.passes(5, 300, engines=(Seen(1, phase="starting"),))
    assert world.energy.idle_watts() == {}
    world.passes(5, 300, engines=(Seen(1, code="compiling"),))
    assert world.energy.idle_watts() == {}
    world.passes(5, 40)
    assert world.energy.idle_watts() == {"cpu": pytest.approx(40)}


def test_a_meter_that_starts_again_loses_the_joules_of_that_time_only():
    world = World()
    world.clock.now += 5
    world.request(5)
    world.joules["cpu"] = -1.0
    world.note()
    assert world.given == []
    world.clock.now += 5
    world.request(5)
    world.joules["cpu"] += 50
    world.note()
    assert [joules for _, joules in world.given] == [pytest.approx(50)]


async def test_others_have_their_turns_while_many_requests_get_their_shares():
    world = await asyncio.to_thread(World)
    seen: list[int] = []

    async def others() -> None:
        while True:
            seen.append(len(world.given))
            await asyncio.sleep(0)

    many = 2000
    for _ in range(many):
        world.clock.now += 1 / many
        world.request(0.5, generated=10)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(others())
        await world.energy.note(Reading(world.clock.now, {"cpu": Counter("cpu", 500.0)}), (TINY,), ())
        task.cancel()
    assert seen.count(0) > 1, "they went on while the shares were computed"
    assert max(later - before for before, later in pairwise(seen)) <= many / 20
    assert len(world.given) == many
    assert sum(joules for _, joules in world.given) == pytest.approx(500)


async def test_an_answer_that_ends_while_its_share_is_computed_gets_it():
    world = await asyncio.to_thread(World)
    meter = live(world)
    for _ in range(16):  # its intervals are not kept open for longer than a minute
        world.clock.now += 5
        world.joules["cpu"] += 500
        meter.reads += 10
        reading = Reading(world.clock.now, {"cpu": Counter("cpu", world.joules["cpu"])})
        noting = asyncio.create_task(world.energy.note(reading, (TINY,), (meter,)))
        await asyncio.sleep(0)
        if world.clock.now < 80:
            await noting
    assert not noting.done(), "a share is being computed"
    world.request(80, generated=160, request_id=meter.request_id, began=meter.at)
    await noting
    world.clock.now += 5
    reading = Reading(world.clock.now, {"cpu": Counter("cpu", world.joules["cpu"])})
    await world.energy.note(reading, (TINY,), ())
    ((_, joules),) = world.given
    assert joules == pytest.approx(16 * 500)

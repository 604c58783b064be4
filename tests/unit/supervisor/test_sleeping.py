"""Engines that can sleep: who makes room keeps its process, and takes its memory again when it is wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.supervisor.test_step import MINI, OTHER, TOO_BIG, kinds
from tests.unit.supervisor.worlds import BAD_FLAG, SIZE, World
from vllama.engine.diagnose import Cause
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.policy import Policy
from vllama.supervisor.states import FOREVER, Capacity, next_deadline

KEPT = 10


def asleep(keep_alive: float = FOREVER) -> World:
    """MINI sleeps, OTHER is ready in its place; both are idle. 100 seconds have passed."""
    world = World(Policy(max_loaded=1, min_residence=0))
    world.sleeps = KEPT
    world.give_back(MINI, world.ready(MINI, keep_alive=keep_alive))
    world.tick(100 if keep_alive == FOREVER else 0)
    ticket = world.want(OTHER)
    assert world.engine(MINI).phase == "dozing"
    world.slept(MINI)
    world.start(OTHER)
    world.give_back(OTHER, ticket)
    assert (world.engine(MINI).phase, world.engine(OTHER).phase) == ("asleep", "ready")
    return world


def wake(world: World) -> int:
    """MINI is wanted, OTHER lies down for it."""
    ticket = world.want(MINI)
    assert world.slept(OTHER) == [act.Wake(MINI.engine_key, world.engine(MINI).run)]
    assert world.engine(MINI).phase == "waking"
    return ticket


def warmed(world: World) -> list[act.Action]:
    return world.feed(ev.Warmed(world.now, MINI.engine_key, world.engine(MINI).run, Capacity(2048, 4096)))


def test_a_sleeper_that_is_wanted_again_wakes_up_in_the_same_run():
    world = asleep()
    run = world.engine(MINI).run
    ticket = wake(world)
    assert warmed(world) == [act.Grant(ticket, MINI.engine_key, run)]


def test_a_busy_engine_finishes_its_answers_before_it_lies_down():
    world = World(Policy(max_loaded=1, min_residence=0))
    world.sleeps = KEPT
    running = world.ready(MINI)
    world.want(OTHER)
    assert world.engine(MINI).phase == "ready"
    assert kinds(world.give_back(MINI, running)) == [act.Sleep]


def test_a_sleeper_is_stopped_when_its_time_is_over():
    world = asleep(keep_alive=60)
    assert next_deadline(world.state) == 60
    assert kinds(world.tick(60)) == [act.Stop]


def test_what_sleepers_keep_is_freed_by_stopping_them():
    world = asleep()
    ticket = wake(world)
    key, run = MINI.engine_key, world.engine(MINI).run
    assert world.feed(ev.NoRoom(world.now, key, run, KEPT, TOO_BIG)) == [
        act.Stop(OTHER.engine_key, world.engine(OTHER).run, gentle=True)
    ]
    assert world.exit(OTHER) == [act.Wake(key, run)]
    warmed(world)
    assert ticket in world.granted()


def test_one_that_finds_no_room_at_all_says_so_and_sleeps_on():
    world = asleep()
    ticket = wake(world)
    world.feed(ev.NoRoom(world.now, MINI.engine_key, world.engine(MINI).run, 5 * SIZE, TOO_BIG))
    assert world.refused() == {ticket: TOO_BIG}
    assert world.engine(MINI).phase == "asleep"


def test_one_that_does_not_wake_up_is_stopped_and_started_again():
    world = asleep()
    ticket = wake(world)
    run = world.engine(MINI).run
    assert kinds(world.feed(ev.Unhealthy(world.now, MINI.engine_key, run, Cause("wake_failed", "no")))) == [act.Stop]
    world.exit(MINI)
    assert kinds(world.tick(100)) == [act.Plan]
    world.start(MINI)
    assert ticket in world.granted()


def test_one_that_dies_in_its_sleep_is_forgotten():
    world = asleep()
    world.feed(ev.Died(world.now, MINI.engine_key, world.engine(MINI).run))
    assert world.exit(MINI) == []
    assert world.engine(MINI).phase == "absent"


@pytest.mark.parametrize("what", ["unload", "reconfigure", "close"])
def test_a_sleeper_that_may_not_stay_is_stopped(what: str):
    world = asleep()
    event = {
        "unload": ev.UnloadWanted(world.now, MINI.engine_key),
        "reconfigure": ev.Reconfigured(world.now, MINI),
        "close": ev.Closing(world.now),
    }[what]
    run = world.engine(MINI).run
    assert act.Stop(MINI.engine_key, run, gentle=True) in world.feed(event)


def test_an_engine_that_is_unloaded_while_it_falls_asleep_is_stopped():
    world = World(Policy(max_loaded=1, min_residence=0))
    world.sleeps = KEPT
    world.give_back(MINI, world.ready(MINI))
    world.want(OTHER)
    world.feed(ev.UnloadWanted(world.now, MINI.engine_key))
    assert act.Stop(MINI.engine_key, 1, gentle=True) in world.slept(MINI)


def test_a_client_that_leaves_lets_the_sleeper_sleep():
    world = asleep()
    ticket = world.want(MINI)
    world.give_back(MINI, ticket)
    world.slept(OTHER)
    assert world.engine(MINI).phase == "asleep"
    assert world.state.queue == ()


def test_one_that_must_go_anyway_is_not_laid_down():
    world = World(Policy(max_loaded=1, min_residence=0))
    world.sleeps = KEPT
    ticket = world.ready(replace(MINI), keep_alive=0)
    assert kinds(world.give_back(MINI, ticket)) == [act.Stop]
    assert BAD_FLAG not in world.refused().values()

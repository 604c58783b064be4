"""Engines that start at the same time: when a second one may begin beside a first, and what it is told there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.supervisor.test_step import MINI, OTHER, PINNED, THIRD, TOO_BIG, fail_for_memory, kinds, no_room
from tests.unit.supervisor.worlds import BAD_FLAG, CRASH, SIZE, World, model, spec
from vllama.config.schema import Config
from vllama.models.model import Model
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.policy import Policy, policy_of, starts_for
from vllama.supervisor.states import FOREVER, Capacity

TWO = Policy(parallel_starts=2, min_residence=0)


def spawn(world: World, of: Model) -> list[act.Action]:
    """It is planned and has a process; what its process being there leads to."""
    key, run = of.engine_key, world.engine(of).run
    world.feed(ev.Planned(world.now, key, run, spec(of)))
    return world.feed(ev.Spawned(world.now, key, run, 100))


def warm(world: World, of: Model) -> list[act.Action]:
    key, run = of.engine_key, world.engine(of).run
    world.feed(ev.Listening(world.now, key, run))
    return world.feed(ev.Warmed(world.now, key, run, Capacity(2048, 4096)))


def refuse(world: World, of: Model) -> list[act.Action]:
    return world.feed(ev.PlanRefused(world.now, of.engine_key, world.engine(of).run, TOO_BIG))


def planned(of: Model, run: int, attempt: int = 0) -> act.Plan:
    return act.Plan(of.engine_key, run, of, attempt)


def neighbours(policy: Policy = TWO) -> World:
    """MINI has a process and loads, OTHER is being planned beside it."""
    world = World(policy)
    world.want(MINI)
    world.want(OTHER)
    assert spawn(world, MINI) == [planned(OTHER, 1)]
    return world


def next_to_one_ready() -> World:
    """The same, with an engine that is ready and idle."""
    world = World(TWO)
    world.give_back(PINNED, world.ready(PINNED, keep_alive=FOREVER))
    world.want(MINI)
    world.want(OTHER)
    spawn(world, MINI)
    return world


def test_the_second_is_planned_as_soon_as_the_first_has_a_process():
    world = World(TWO)
    world.want(MINI)
    world.want(OTHER)
    assert world.engine(OTHER).phase == "absent"
    world.feed(ev.Planned(0, MINI.engine_key, 1, spec(MINI)))
    assert world.engine(OTHER).phase == "absent", "nobody could tell what the first will take"
    assert world.feed(ev.Spawned(0, MINI.engine_key, 1, 100)) == [planned(OTHER, 1)]


def test_no_more_start_at_once_than_the_policy_says():
    world = neighbours()
    world.want(THIRD)
    spawn(world, OTHER)
    assert world.engine(THIRD).phase == "absent"
    warm(world, MINI)
    assert world.engine(THIRD).phase == "planning"


def test_two_that_start_together_are_granted_each_when_it_is_ready():
    world = neighbours()
    spawn(world, OTHER)
    assert world.granted() == []
    assert kinds(warm(world, OTHER)) == [act.Grant]
    assert kinds(warm(world, MINI)) == [act.Grant]


@pytest.mark.parametrize("say_no", [no_room, refuse])
def test_what_a_plan_during_a_load_does_not_find_is_looked_for_again_when_nothing_loads(say_no):
    world = neighbours()
    assert say_no(world, OTHER) == []
    assert world.state.queue == (OTHER.engine_key,)
    assert warm(world, MINI)[-1] == planned(OTHER, 2)
    say_no(world, OTHER)
    assert list(world.refused().values()) == ([TOO_BIG] if say_no is refuse else [])


def test_an_engine_that_found_no_room_during_a_load_is_not_planned_over_and_over_and_none_overtakes_it():
    world = neighbours()
    no_room(world, OTHER)
    world.want(THIRD)
    world.want(OTHER)
    assert world.tick(1) == []
    assert world.state.queue == (OTHER.engine_key, THIRD.engine_key)


def test_an_engine_that_found_no_room_during_two_loads_is_planned_again_when_one_of_them_has_ended():
    world = neighbours(replace(TWO, parallel_starts=3))
    world.want(THIRD)
    spawn(world, OTHER)
    no_room(world, THIRD)
    assert warm(world, MINI)[-1] == planned(THIRD, 2)
    assert world.engine(OTHER).phase == "starting"


def test_the_end_of_another_engine_is_reason_to_plan_again_during_a_load():
    world = next_to_one_ready()
    no_room(world, OTHER)
    world.feed(ev.UnloadWanted(0, PINNED.engine_key))
    assert world.exit(PINNED) == [planned(OTHER, 2)]


def test_a_plan_during_a_load_that_saw_an_engine_which_has_gone_since_is_made_again_at_once():
    world = next_to_one_ready()
    world.feed(ev.UnloadWanted(0, PINNED.engine_key))
    world.exit(PINNED)
    assert no_room(world, OTHER) == [planned(OTHER, 2)]


def test_a_plan_made_during_a_load_that_is_broken_off_refuses_nobody():
    world = neighbours()
    world.give_back(MINI, 1)
    world.feed(ev.UnloadWanted(0, MINI.engine_key))
    assert world.engine(MINI).phase == "stopping"
    assert refuse(world, OTHER) == [planned(OTHER, 2)]


def test_nothing_is_unloaded_as_long_as_something_loads():
    world = World(TWO)
    world.give_back(THIRD, world.ready(THIRD, keep_alive=FOREVER))
    world.want(MINI)
    world.want(OTHER)
    spawn(world, MINI)
    assert no_room(world, OTHER, missing=SIZE) == []
    warm(world, MINI)
    assert no_room(world, OTHER, missing=SIZE) == [act.Stop(THIRD.engine_key, 1, gentle=True)]


def test_those_that_load_count_among_the_engines_that_may_be_loaded():
    world = World(replace(TWO, max_loaded=1))
    world.want(MINI)
    world.want(OTHER)
    assert spawn(world, MINI) == []
    assert OTHER.engine_key in world.state.queue


def test_a_sleeper_is_woken_when_nothing_loads():
    world = World(replace(TWO, max_loaded=1))
    world.sleeps = 10
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    world.want(OTHER)
    world.slept(MINI)
    world.feed(ev.PolicyChanged(0, TWO))
    world.want(MINI)
    assert spawn(world, OTHER) == []
    assert kinds(warm(world, OTHER)) == [act.Grant, act.Wake]


def test_nothing_is_planned_while_another_one_wakes():
    world = World(replace(TWO, max_loaded=1))
    world.sleeps = 10
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    ticket = world.want(OTHER)
    world.slept(MINI)
    world.feed(ev.PolicyChanged(0, TWO))
    world.start(OTHER)
    world.give_back(OTHER, ticket)
    world.want(MINI)
    assert world.engine(MINI).phase == "waking"
    world.want(THIRD)
    assert world.engine(THIRD).phase == "absent"


def test_an_engine_that_ran_out_of_memory_is_tried_again_alone():
    world = neighbours()
    assert fail_for_memory(world, OTHER) == []
    assert warm(world, MINI)[-1] == planned(OTHER, 2, attempt=1)


def test_an_engine_that_failed_to_start_is_tried_again_alone():
    world = neighbours()
    world.feed(ev.Planned(0, OTHER.engine_key, 1, spec(OTHER)))
    world.exit(OTHER, CRASH)
    assert world.tick(10) == []
    assert warm(world, MINI)[-1] == planned(OTHER, 2)


def test_one_that_fails_next_to_another_takes_only_its_own_requests_with_it():
    world = neighbours()
    spawn(world, OTHER)
    world.exit(OTHER, BAD_FLAG)
    assert world.refused() == {2: BAD_FLAG}
    assert kinds(warm(world, MINI)) == [act.Grant]


def test_no_request_stands_in_line_for_whom_an_engine_is_being_loaded():
    world = neighbours(replace(TWO, max_waiting=1))
    third = world.want(model("third"))
    assert world.refused() == {}
    assert world.want(THIRD) in world.refused()
    assert third not in world.refused()


@pytest.mark.parametrize(("cores", "starts"), [(1, 1), (2, 1), (8, 1), (15, 1), (16, 2), (31, 3), (32, 4), (256, 4)])
def test_one_engine_for_each_eight_cores_starts_at_once(cores: int, starts: int):
    assert starts_for(cores) == starts
    assert policy_of(Config(), cores).parallel_starts == starts


def test_how_many_start_at_once_is_what_the_configuration_says_where_it_does():
    assert policy_of(Config.model_validate({"engine": {"parallel_starts": 3}}), 2).parallel_starts == 3

"""Compiled code is made while nobody needs the machine, and whoever needs it does not wait."""

from __future__ import annotations

import pytest

from tests.unit.supervisor.worlds import CRASH, World, model
from vllama.engine.diagnose import Cause
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.compilation import KILLED, LONG, QUIET, compilation_due, describe
from vllama.supervisor.policy import Policy

MINI, OTHER = model("mini"), model("other")


def idle(policy: Policy | None = None) -> tuple[World, int]:
    """A world in which MINI is ready, eager and unused; and the ticket that it was loaded for."""
    world = World(policy)
    world.code = "abc"
    ticket = world.ready(MINI)
    world.give_back(MINI, ticket)
    return world, ticket


def compiling(policy: Policy | None = None) -> World:
    world, _ = idle(policy)
    assert [type(action) for action in world.tick(QUIET)] == [act.Compile]
    return world


def end(world: World, **how) -> list[act.Action]:
    assert world.state.compilation is not None
    return world.feed(ev.CompilationEnded(world.now, world.state.compilation.run, **how))


def compilations(world: World) -> int:
    return sum(isinstance(action, act.Compile) for action in world.actions)


def test_an_eager_engine_is_compiled_once_it_was_idle_for_a_moment():
    world, _ = idle()
    assert compilation_due(world.state) == QUIET
    assert world.tick(QUIET - 1) == []
    (action,) = world.tick(1)
    assert isinstance(action, act.Compile)
    assert (action.model, action.spec.code) == (MINI, "abc")


def test_an_engine_that_misses_no_code_is_not_compiled():
    world = World()
    world.give_back(MINI, world.ready(MINI))
    assert compilation_due(world.state) is None
    assert world.tick(100) == []


def test_nothing_is_compiled_while_a_request_runs():
    world = World()
    world.code = "abc"
    world.ready(MINI)
    assert compilation_due(world.state) is None
    assert world.tick(100) == []


def test_a_request_lets_it_stand_still_and_is_granted_at_once():
    world = compiling()
    reported = len(world.actions)
    ticket = world.want(MINI)
    assert world.actions[reported:] == [act.Grant(ticket, MINI.engine_key, 1), act.PauseCompilation(1, paused=True)]
    world.give_back(MINI, ticket)
    assert compilation_due(world.state) == world.now + QUIET
    assert world.tick(QUIET - 1) == []
    assert world.tick(1) == [act.PauseCompilation(1, paused=False)]


def test_a_load_kills_it_and_is_planned_as_soon_as_its_memory_is_free():
    world = compiling()
    reported = len(world.actions)
    world.want(OTHER)
    assert world.actions[reported:] == [act.EndCompilation(1)]
    (plan,) = end(world)
    assert isinstance(plan, act.Plan)
    assert plan.model == OTHER


def test_what_was_killed_for_a_load_begins_again_when_the_machine_is_idle():
    world = compiling()
    ticket = world.want(OTHER)
    end(world)
    world.code = ""
    world.start(OTHER)
    world.give_back(OTHER, ticket)
    world.tick(QUIET)
    assert compilations(world) == 2


def test_it_goes_on_when_its_engine_is_unloaded_for_being_idle():
    world = compiling(Policy(keep_alive=20))
    world.tick(20)
    world.exit(MINI)
    assert world.engine(MINI).phase == "absent"
    assert world.state.compilation is not None
    end(world, made=True)
    assert world.tick(1000) == []


def test_a_model_that_is_unloaded_by_a_client_is_not_compiled():
    world = compiling()
    actions = world.feed(ev.UnloadWanted(world.now, MINI.engine_key))
    assert act.EndCompilation(1) in actions
    end(world)
    world.exit(MINI)
    assert world.tick(1000) == []


def test_a_model_that_is_configured_again_is_not_compiled_as_it_was():
    world = compiling()
    assert act.EndCompilation(1) in world.feed(ev.Reconfigured(world.now, MINI))


def test_made_code_is_not_made_again():
    world = compiling()
    end(world, made=True)
    world.tick(10)
    assert compilations(world) == 1


@pytest.mark.parametrize(
    ("keep_alive", "then"),
    [(400.0, "it is loaded again with that after a minute without requests"), (100.0, "the next load uses that")],
)
def test_people_read_what_becomes_of_made_code(keep_alive: float, then: str):
    world = compiling()
    world.give_back(MINI, world.want(MINI, keep_alive=keep_alive))
    world.tick(QUIET)
    end(world, made=True)
    assert describe(world.engine(MINI), None) == f"eager; compiled, and {then}"


def test_an_idle_engine_that_stays_is_loaded_again_with_its_code_and_stays_as_long_as_before():
    world = compiling()
    end(world, made=True)
    assert compilation_due(world.state) == LONG
    world.code = ""
    assert world.tick(LONG - QUIET) == [act.Stop(MINI.engine_key, 1, gentle=True)]
    assert [type(action) for action in world.exit(MINI)] == [act.Plan]
    world.start(MINI)
    assert (world.engine(MINI).phase, world.engine(MINI).restarts) == ("ready", 0)
    assert world.engine(MINI).expires_at == world.now + 300
    assert compilation_due(world.state) is None


def test_a_request_puts_the_second_load_off():
    world = compiling()
    end(world, made=True)
    ticket = world.want(MINI)
    assert world.tick(1000) == []
    world.give_back(MINI, ticket)
    assert compilation_due(world.state) == world.now + LONG


def test_an_engine_that_is_unloaded_soon_is_not_loaded_again():
    world = compiling(Policy(keep_alive=LONG))
    end(world, made=True)
    world.tick(LONG - QUIET)
    world.exit(MINI)
    assert world.engine(MINI).phase == "absent"


def test_a_model_can_be_unloaded_meanwhile():
    world = compiling()
    end(world, made=True)
    world.tick(LONG)
    world.feed(ev.UnloadWanted(world.now, MINI.engine_key))
    assert world.exit(MINI) == []
    assert world.engine(MINI).phase == "absent"


def test_a_failure_is_not_tried_again_until_the_model_is_configured_again():
    world = compiling(Policy(keep_alive=50))
    end(world, cause=CRASH)
    assert describe(world.engine(MINI), None) == f"eager, because compiling failed: {CRASH.sentence}"
    assert world.tick(100) != []  # its time is over
    world.exit(MINI)
    world.give_back(MINI, world.ready(MINI))
    world.tick(10)
    assert compilations(world) == 1
    world.feed(ev.Reconfigured(world.now, MINI))
    world.exit(MINI)
    world.give_back(MINI, world.ready(MINI))
    world.tick(QUIET)
    assert compilations(world) == 2


@pytest.mark.parametrize("cause", [Cause("killed", "SIGKILL"), Cause("out_of_memory", "no memory", memory=True)])
def test_one_that_others_kill_is_tried_three_times(cause):
    world = compiling(Policy(keep_alive=10 * KILLED))
    for _ in range(2):
        end(world, cause=cause)
        assert "compiled when the machine is idle" in describe(world.engine(MINI), None)
        assert world.tick(KILLED - 1) == []
        assert [type(action) for action in world.tick(1)] == [act.Compile]
    end(world, cause=cause)
    assert world.tick(KILLED) == []
    assert describe(world.engine(MINI), None) == f"eager, because compiling failed: {cause.sentence}"


def test_other_code_is_tried_where_one_has_failed():
    world = compiling()
    end(world, cause=CRASH)
    world.tick(1000)
    world.exit(MINI)
    world.code = "of other settings"
    world.give_back(MINI, world.ready(MINI))
    world.tick(QUIET)
    assert compilations(world) == 2


def test_without_room_it_is_tried_again_later():
    world = compiling()
    end(world, later=True)
    assert compilation_due(world.state) == world.now + 60
    assert world.tick(59) == []
    assert [type(action) for action in world.tick(1)] == [act.Compile]


def test_a_configuration_that_wants_none_ends_it():
    world = compiling()
    assert world.feed(ev.PolicyChanged(world.now, Policy(compiles=False))) == [act.EndCompilation(1)]
    end(world)
    assert world.tick(100) == []


def test_a_shutdown_ends_it():
    world = compiling()
    assert act.EndCompilation(1) in world.feed(ev.Closing(world.now))
    assert end(world) == []
    assert world.state.compilation is None


def test_code_that_was_made_just_before_the_end_counts():
    world = compiling()
    world.want(OTHER)
    end(world, made=True)
    assert world.engine(MINI).compiles is None


def test_the_end_of_an_older_one_changes_nothing():
    world = compiling()
    before = world.state
    world.feed(ev.CompilationEnded(world.now, 0, cause=CRASH))
    assert world.state == before


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], "eager; it is compiled when the machine is idle"),
        (["compile"], "eager; compiling now (looking for room)"),
        (["compile", "stage"], "eager; compiling now (loading weights)"),
        (["compile", "stage", "ask"], "eager; compiling goes on when the machine is idle"),
    ],
)
def test_people_read_how_far_it_is(steps, said):
    world, _ = idle()
    for step in steps:
        if step == "compile":
            world.tick(QUIET)
        elif step == "stage":
            world.feed(ev.CompilationProgressed(world.now, 1, "loading weights"))
        else:
            world.want(MINI)
    assert describe(world.engine(MINI), world.state.compilation) == said


def test_what_is_killed_has_not_failed_whatever_its_process_reports():
    world = compiling()
    world.want(OTHER)
    end(world, cause=CRASH)
    assert world.engine(MINI).uncompiled == ""
    assert world.engine(MINI).compiles is not None

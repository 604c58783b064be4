from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.supervisor.worlds import BAD_FLAG, CRASH, OUT_OF_MEMORY, SIZE, World, model, spec
from vllama.engine.diagnose import Cause
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.compilation import compilation_due
from vllama.supervisor.outlook import Short
from vllama.supervisor.policy import Policy
from vllama.supervisor.states import FOREVER, LOADING, RESTING, Capacity, next_deadline

MINI = model("mini")
OTHER = model("other")
THIRD = model("third")
PINNED = replace(model("pinned"), pinned=True)


def kinds(actions):
    return [type(a) for a in actions]


def test_a_request_for_an_absent_model_plans_spawns_warms_and_is_granted():
    world = World()
    ticket = world.ready(MINI)
    assert kinds(world.actions) == [act.Plan, act.Spawn, act.Warm, act.Grant]
    assert world.granted() == [ticket]
    assert world.engine(MINI).phase == "ready"


def test_a_request_on_a_ready_engine_is_granted_at_once():
    world = World()
    world.ready(MINI)
    second = world.want(MINI)
    assert world.granted()[-1] == second


def test_all_waiting_requests_are_granted_when_the_engine_is_ready():
    world = World()
    tickets = [world.want(MINI) for _ in range(20)]
    world.start(MINI)
    assert world.granted() == tickets


def test_two_models_load_one_after_the_other():
    world = World()
    world.want(MINI)
    world.want(OTHER)
    assert world.engine(OTHER).phase == "absent"
    world.start(MINI)
    assert world.engine(OTHER).phase == "planning"


def test_an_idle_engine_is_stopped_after_its_keep_alive():
    world = World(Policy(keep_alive=300))
    world.give_back(MINI, world.ready(MINI))
    assert next_deadline(world.state) == 300
    assert world.tick(299) == []
    assert kinds(world.tick(1)) == [act.Stop]
    world.exit(MINI)
    assert world.engine(MINI).phase == "absent"
    assert world.engine(MINI).restarts == 0


def test_a_leased_engine_never_expires():
    world = World()
    world.ready(MINI)
    assert next_deadline(world.state) is None
    assert world.tick(10_000) == []


def test_keep_alive_zero_stops_the_engine_when_the_last_request_ends():
    world = World()
    first = world.ready(MINI, keep_alive=0)
    second = world.want(MINI)
    assert world.give_back(MINI, first) == []
    assert kinds(world.give_back(MINI, second)) == [act.Stop]


def test_a_request_without_keep_alive_leaves_the_running_duration():
    world = World()
    world.give_back(MINI, world.ready(MINI, keep_alive=7))
    world.give_back(MINI, world.want(MINI))
    assert world.engine(MINI).expires_at == 7


def test_an_engine_kept_for_ever_has_no_deadline():
    world = World()
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    assert next_deadline(world.state) is None


def test_unload_while_busy_waits_for_the_running_request():
    world = World()
    ticket = world.ready(MINI)
    assert world.feed(ev.UnloadWanted(0, MINI.engine_key)) == []
    assert kinds(world.give_back(MINI, ticket)) == [act.Stop]


def test_a_request_that_meets_a_stopping_engine_waits_for_the_next_one():
    world = World()
    world.give_back(MINI, world.ready(MINI, keep_alive=0))
    ticket = world.want(MINI)
    assert ticket not in world.granted()
    world.exit(MINI)
    assert world.engine(MINI).phase == "planning"
    world.start(MINI)
    assert ticket in world.granted()


def test_an_exit_that_nobody_asked_for_is_a_crash_and_is_restarted_after_the_backoff():
    world = World(Policy(backoff=1))
    ticket = world.ready(MINI)
    world.exit(MINI, Cause("crashed", "the engine ended by itself with status 0"))
    assert world.engine(MINI).phase == "backoff"
    assert kinds(world.tick(1)) == [act.Plan]
    world.give_back(MINI, ticket)
    world.start(MINI)
    assert world.engine(MINI).phase == "ready"
    assert world.engine(MINI).restarts == 1


def test_a_restarted_engine_keeps_its_keep_alive():
    world = World(Policy(keep_alive=300))
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    world.exit(MINI)
    world.tick(1)
    world.start(MINI)
    assert world.engine(MINI).expires_at == FOREVER


def test_a_cause_that_would_come_again_breaks_at_once_and_fails_waiting_requests():
    world = World()
    ticket = world.want(MINI)
    world.feed(ev.Planned(0, MINI.engine_key, world.engine(MINI).run, spec(MINI)))
    world.exit(MINI, BAD_FLAG)
    assert world.refused() == {ticket: BAD_FLAG}
    assert world.engine(MINI).phase == "broken"
    assert world.tick(3600) == []


def test_a_broken_engine_answers_new_requests_with_its_cause_until_the_cool_off_is_over():
    world = World(Policy(breaker_cooloff=60))
    world.want(MINI)
    world.feed(ev.Planned(0, MINI.engine_key, world.engine(MINI).run, spec(MINI)))
    world.exit(MINI, BAD_FLAG)
    world.tick(59)
    early = world.want(MINI)
    assert world.refused()[early] == BAD_FLAG
    world.tick(1)
    world.want(MINI)
    assert world.engine(MINI).phase == "planning"


def test_a_broken_engine_is_tried_at_once_when_the_models_files_changed():
    world = World()
    world.want(MINI)
    world.feed(ev.Planned(0, MINI.engine_key, world.engine(MINI).run, spec(MINI)))
    world.exit(MINI, BAD_FLAG)
    world.want(model("mini", digest="1" * 64))
    assert world.engine(MINI).phase == "planning"


def test_a_crash_loop_opens_the_breaker():
    world = World(Policy(breaker_crashes=3, breaker_window=600))
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    for _ in range(2):
        world.exit(MINI)
        world.tick(60)
        world.start(MINI)
    world.exit(MINI)
    assert world.engine(MINI).phase == "broken"


def test_crashes_that_are_far_apart_do_not_open_the_breaker():
    world = World(Policy(breaker_crashes=3, breaker_window=600))
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    for _ in range(10):
        world.exit(MINI)
        world.tick(601)
        world.start(MINI)
    assert world.engine(MINI).phase == "ready"


def test_the_backoff_doubles_up_to_its_limit():
    world = World(Policy(backoff=1, backoff_max=5, breaker_crashes=100))
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    pauses = []
    for _ in range(5):
        world.exit(MINI)
        pauses.append(world.engine(MINI).retry_at - world.now)
        world.tick(pauses[-1])
        world.start(MINI)
    assert pauses == [1, 2, 4, 5, 5]


def test_waiting_requests_fail_after_two_failed_starts():
    world = World(Policy(start_attempts=2))
    ticket = world.want(MINI)
    for attempt in range(2):
        world.feed(ev.Planned(world.now, MINI.engine_key, world.engine(MINI).run, spec(MINI)))
        assert (ticket in world.refused()) == (attempt > 1)
        world.exit(MINI)
        world.tick(60)
    assert world.refused() == {ticket: CRASH}
    assert world.engine(MINI).phase == "absent"


def test_a_hung_engine_is_killed_and_started_again_and_its_cause_is_kept():
    world = World()
    hung = Cause("hung", "the engine hung")
    world.ready(MINI)
    actions = world.feed(ev.Unhealthy(0, MINI.engine_key, world.engine(MINI).run, hung))
    assert actions == [act.Stop(MINI.engine_key, 1, gentle=False)]
    world.exit(MINI, CRASH)
    assert world.engine(MINI).cause == hung
    assert world.engine(MINI).phase == "backoff"


def test_a_request_that_comes_while_a_dead_engine_is_buried_waits_for_the_next_one():
    world = World()
    world.ready(MINI)
    world.feed(ev.Died(0, MINI.engine_key, world.engine(MINI).run))
    ticket = world.want(MINI)
    assert ticket not in world.granted()
    world.exit(MINI)
    world.tick(1)
    world.start(MINI)
    assert ticket in world.granted()


def test_an_event_of_an_older_run_changes_nothing():
    world = World()
    world.give_back(MINI, world.ready(MINI, keep_alive=0))
    world.want(MINI)
    world.exit(MINI)
    before = world.state
    assert world.feed(ev.Exited(0, MINI.engine_key, 1, CRASH)) == []
    assert world.state == before


def test_a_full_waiting_room_refuses_in_ollamas_words():
    world = World(Policy(max_waiting=1))
    world.want(MINI)  # is being loaded and no longer counts
    world.want(MINI)
    third = world.want(MINI)
    assert world.refused()[third].text == "server busy, please try again.  maximum pending requests exceeded"
    assert world.refused()[third].status == 503


def test_a_client_that_leaves_gives_its_place_back():
    world = World(Policy(max_waiting=1))
    world.want(MINI)
    second = world.want(MINI)
    world.give_back(MINI, second)
    third = world.want(MINI)
    assert third not in world.refused()


def test_a_load_that_has_not_begun_is_dropped_with_its_last_client():
    world = World()
    world.want(MINI)
    ticket = world.want(OTHER)
    world.give_back(OTHER, ticket)
    world.start(MINI)
    assert world.engine(OTHER).phase == "absent"
    assert world.state.queue == ()


def test_closing_drains_leased_engines_and_kills_starting_ones():
    world = World(Policy(drain=30))
    ticket = world.ready(MINI)
    world.want(OTHER)
    world.feed(ev.Planned(0, OTHER.engine_key, world.engine(OTHER).run, spec(OTHER)))
    actions = world.feed(ev.Closing(0))
    assert act.Stop(OTHER.engine_key, 1, gentle=False) in actions
    assert world.engine(MINI).phase == "draining"
    assert world.give_back(MINI, ticket) == [act.Stop(MINI.engine_key, 1, gentle=True)]


def test_closing_stops_a_leased_engine_when_the_drain_time_is_over():
    world = World(Policy(drain=30))
    world.ready(MINI)
    world.feed(ev.Closing(0))
    assert next_deadline(world.state) == 30
    assert kinds(world.tick(30)) == [act.Stop]


def test_closing_again_kills_what_is_finishing_its_answers_or_ending():
    world = World()
    world.ready(MINI)
    world.feed(ev.Closing(0))
    assert [action for action in world.feed(ev.Closing(0)) if isinstance(action, act.Stop)] == [
        act.Stop(MINI.engine_key, 1, gentle=False)
    ]
    assert world.engine(MINI).phase == "stopping"
    assert world.feed(ev.Closing(0)) == [act.Stop(MINI.engine_key, 1, gentle=False)]
    world.exit(MINI)
    assert world.feed(ev.Closing(0)) == []
    assert world.engine(MINI).phase == "absent"


def test_what_the_machine_refuses_is_no_crash_and_the_next_load_begins_at_once():
    world = World()
    full = Cause("surroundings", "no space left on device", outside=True)
    first = world.want(MINI)
    world.feed(ev.Planned(0, MINI.engine_key, 1, spec(MINI)))
    assert act.Refuse(first, full) in world.exit(MINI, full)
    assert (world.engine(MINI).phase, world.engine(MINI).setbacks.crashes) == ("absent", ())
    world.want(MINI)
    assert world.engine(MINI).phase == "planning"


def test_an_engine_that_was_up_is_tried_again_when_the_machine_refuses_its_restart():
    world = World()
    full = Cause("surroundings", "no space left on device", outside=True)
    world.give_back(MINI, world.ready(MINI))
    world.exit(MINI)
    for pause in (1, 2, 4):
        world.now = world.engine(MINI).retry_at
        world.feed(ev.Ticked(world.now))
        world.feed(ev.Planned(world.now, MINI.engine_key, world.engine(MINI).run, spec(MINI)))
        world.exit(MINI, full)
        assert (world.engine(MINI).phase, world.engine(MINI).retry_at - world.now) == ("backoff", pause)


def test_after_closing_nothing_starts():
    world = World()
    world.feed(ev.Closing(0))
    assert world.want(MINI) in world.refused()
    assert act.Plan not in kinds(world.actions)


def fail_for_memory(world, of) -> list[act.Action]:
    """Its start runs out of memory."""
    world.feed(ev.Planned(world.now, of.engine_key, world.engine(of).run, spec(of)))
    return world.exit(of, OUT_OF_MEMORY)


def test_after_running_out_of_memory_gentler_plans_follow_at_once_and_then_the_cause_is_reported():
    world = World(Policy(gentler_plans=3))
    ticket = world.want(MINI)
    for attempt in (1, 2, 3):
        assert fail_for_memory(world, MINI) == [act.Plan(MINI.engine_key, attempt + 1, MINI, attempt)]
        assert world.refused() == {}
    fail_for_memory(world, MINI)
    assert world.refused() == {ticket: OUT_OF_MEMORY}
    assert world.engine(MINI).phase == "broken"


def test_a_plan_that_turned_out_to_fit_is_used_from_then_on():
    world = World()
    world.want(MINI)
    fail_for_memory(world, MINI)
    world.start(MINI)
    world.feed(ev.UnloadWanted(world.now, MINI.engine_key))
    world.give_back(MINI, 1)
    world.exit(MINI)
    world.want(MINI)
    assert world.actions[-1] == act.Plan(MINI.engine_key, 3, MINI, 1)


def test_a_changed_configuration_begins_with_the_first_plan_again():
    world = World(Policy(gentler_plans=1))
    world.want(MINI)
    fail_for_memory(world, MINI)
    fail_for_memory(world, MINI)
    world.feed(ev.Reconfigured(world.now, MINI))
    world.want(MINI)
    last = world.actions[-1]
    assert isinstance(last, act.Plan)
    assert last.attempt == 0


def test_a_serving_engine_that_runs_out_of_memory_comes_back_with_less():
    world = World()
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    assert world.exit(MINI, OUT_OF_MEMORY) == [act.Plan(MINI.engine_key, 2, MINI, 1)]


def test_nobody_waits_for_a_gentler_plan_that_nobody_wants():
    world = World()
    ticket = world.want(MINI)
    world.feed(ev.Planned(world.now, MINI.engine_key, world.engine(MINI).run, spec(MINI)))
    world.give_back(MINI, ticket)
    assert world.exit(MINI, OUT_OF_MEMORY) == []
    assert world.engine(MINI).phase == "absent"


TOO_BIG = Cause("too_big", "it needs 9 GiB and 4 are free")
POLICY = Policy(min_residence=15)


def no_room(world, of, missing=10):
    return world.feed(ev.NoRoom(world.now, of.engine_key, world.engine(of).run, missing, TOO_BIG))


def two_loaded(policy=POLICY):
    """MINI used at 0, OTHER at 1, both idle and past their minimum residence; THIRD wants in."""
    world = World(policy)
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    world.now = 1
    world.give_back(OTHER, world.ready(OTHER, keep_alive=FOREVER))
    world.tick(100)
    return world


def test_the_least_recently_used_idle_engine_makes_room():
    world = two_loaded()
    ticket = world.want(THIRD)
    assert no_room(world, THIRD) == [act.Stop(MINI.engine_key, 1, gentle=True)]
    assert world.exit(MINI) == [act.Plan(THIRD.engine_key, 2, THIRD)]
    world.start(THIRD)
    assert world.granted()[-1] == ticket
    assert world.engine(OTHER).phase == "ready"


def test_a_plan_that_saw_an_engine_which_has_gone_since_is_made_again():
    world = two_loaded()
    ticket = world.want(THIRD)
    no_room(world, THIRD, missing=2 * SIZE)
    world.exit(MINI)  # THIRD is planned again, too early
    world.exit(OTHER)
    assert no_room(world, THIRD, missing=SIZE) == [act.Plan(THIRD.engine_key, 3, THIRD)]
    world.start(THIRD)
    assert world.granted()[-1] == ticket


def test_as_many_go_as_are_needed():
    world = two_loaded()
    world.want(THIRD)
    assert len(no_room(world, THIRD, missing=SIZE + 1)) == 2


def test_nothing_is_unloaded_when_all_together_would_not_do_and_the_reason_is_reported():
    world = two_loaded()
    ticket = world.want(THIRD)
    no_room(world, THIRD, missing=2 * SIZE + 1)
    assert world.refused() == {ticket: TOO_BIG}
    assert world.engine(MINI).phase == world.engine(OTHER).phase == "ready"


def test_what_a_load_lacked_is_forgotten_with_its_last_client():
    world = World(POLICY)
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    ticket = world.want(THIRD)
    assert no_room(world, THIRD) == [], "it waits, because the other one is young"
    world.give_back(THIRD, ticket)
    world.feed(ev.UnloadWanted(world.now, MINI.engine_key))
    world.exit(MINI)
    world.want(THIRD)
    assert kinds(world.actions)[-1] == act.Plan


def test_a_pinned_engine_is_never_evicted():
    world = World(POLICY)
    world.give_back(PINNED, world.ready(PINNED, keep_alive=FOREVER))
    world.tick(100)
    ticket = world.want(THIRD)
    no_room(world, THIRD)
    assert world.refused() == {ticket: TOO_BIG}
    assert world.engine(PINNED).phase == "ready"


def test_no_more_engines_are_loaded_than_the_configuration_allows():
    world = World(Policy(max_loaded=1, min_residence=0))
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    ticket = world.want(OTHER)
    assert world.engine(MINI).phase == "stopping"
    world.exit(MINI)
    world.start(OTHER)
    assert ticket in world.granted()


def test_a_young_engine_stays_its_minimum_time():
    world = World(POLICY)
    world.give_back(MINI, world.ready(MINI, keep_alive=FOREVER))
    world.want(THIRD)
    assert no_room(world, THIRD) == []
    assert next_deadline(world.state) == 15
    assert kinds(world.tick(15)) == [act.Stop]


def test_a_busy_engine_yields_finishes_its_answers_and_takes_no_new_ones():
    world = World(POLICY)
    running = world.ready(MINI)
    world.tick(100)
    waiting = world.want(THIRD)
    assert no_room(world, THIRD) == []
    late = world.want(MINI)
    assert late not in world.granted()
    assert kinds(world.give_back(MINI, running)) == [act.Stop]
    world.exit(MINI)
    world.start(THIRD)
    assert waiting in world.granted()
    world.give_back(THIRD, waiting)
    world.tick(100)
    assert kinds(no_room(world, MINI)) == [act.Stop]
    world.exit(THIRD)
    world.start(MINI)
    assert late in world.granted()


def test_an_engine_that_yields_goes_on_when_nobody_needs_its_room_any_more():
    world = World(POLICY)
    world.ready(MINI)
    world.tick(100)
    waiting = world.want(THIRD)
    no_room(world, THIRD)
    late = world.want(MINI)
    world.give_back(THIRD, waiting)
    assert late in world.granted()
    assert not world.engine(MINI).yielding


def test_an_engine_whose_settings_changed_ends_after_its_answers_and_waiting_requests_get_a_new_one():
    world = World()
    ticket = world.ready(MINI)
    world.feed(ev.Reconfigured(world.now, MINI))
    late = world.want(MINI)
    assert late not in world.granted()
    assert kinds(world.give_back(MINI, ticket)) == [act.Stop]
    assert kinds(world.exit(MINI)) == [act.Plan]
    world.start(MINI)
    assert world.granted()[-1] == late


def test_an_idle_engine_whose_settings_changed_is_stopped_at_once():
    world = World()
    world.give_back(MINI, world.ready(MINI))
    assert kinds(world.feed(ev.Reconfigured(world.now, MINI))) == [act.Stop]


def test_a_changed_configuration_gives_a_broken_engine_another_try():
    world = World()
    world.want(MINI)
    world.feed(ev.PlanRefused(world.now, MINI.engine_key, world.engine(MINI).run, BAD_FLAG))
    world.want(MINI)
    world.feed(ev.Planned(world.now, MINI.engine_key, world.engine(MINI).run, spec(MINI)))
    world.exit(MINI, BAD_FLAG)
    assert world.engine(MINI).phase == "broken"
    world.feed(ev.Reconfigured(world.now, MINI))
    assert kinds(world.feed(ev.LeaseWanted(world.now, 99, MINI))) == [act.Plan]


MODELS = [MINI, OTHER, THIRD, PINNED]
LEAVING = {"stopping", "failing", "draining", "dozing"}


class Histories(RuleBasedStateMachine):
    """Long random lives of four engines: whatever happens, nobody is forgotten and nothing is done twice."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Policy())
        self.open: dict[int, object] = {}
        self.alone: dict[str, bool] = {}
        """Whether each engine's last plan was begun while nothing else was loading."""
        self.closed = False
        self.living: dict[str, int] = {}
        self.compiling: int | None = None

    @initialize(
        at_once=st.integers(1, 3),
        most=st.sampled_from([2, 3, None]),
        asleep=st.sampled_from([0, 10]),
        code=st.sampled_from(["", "code"]),
        begun=st.lists(st.tuples(st.sampled_from(MODELS), st.integers(0, 4)), min_size=1, max_size=8),
    )
    def begin(self, at_once, most, asleep, code, begun) -> None:
        """Engines that are on their way already: chance alone would hardly bring two of them there."""
        self.world.sleeps, self.world.code = asleep, code
        limits = Policy(max_waiting=4, max_loaded=most, parallel_starts=at_once, breaker_crashes=3, backoff=1)
        self.feed(ev.PolicyChanged(0, limits))
        for which, steps in begun:
            self.request(which, None)
            self.go_on(which, steps)

    def absorb(self, actions) -> None:
        for action in actions:
            if isinstance(action, act.Stop) and action.gentle and not self.closed:
                assert not self.world.state.engines[action.key].leases, "stopped while leased"
            if isinstance(action, act.Plan):
                self.alone[action.key] = not self.others_load(action.key)
            if isinstance(action, act.Spawn):
                assert action.key not in self.living, "a second process for one engine"
                self.living[action.key] = action.run
            if isinstance(action, act.Compile):
                assert self.compiling is None, "two of them compile"
                self.compiling = action.run
            if isinstance(action, (act.PauseCompilation, act.EndCompilation)):
                assert self.compiling == action.run, "something to do for a compilation that is not there"
            if isinstance(action, (act.Stop, act.Sleep, act.Wake)):
                assert self.living.get(action.key) == action.run, "something to do for a process that is not there"
            if isinstance(action, (act.Grant, act.Refuse)):
                assert self.open.get(action.ticket) == "waiting", "answered twice, or never asked"
                self.open[action.ticket] = "granted" if isinstance(action, act.Grant) else "refused"

    def feed(self, event) -> None:
        self.absorb(self.world.feed(event))

    def others_load(self, key) -> bool:
        return any(e.phase in LOADING for e in self.world.state.engines.values() if e.key != key)

    @rule(which=st.sampled_from(MODELS), keep=st.sampled_from([None, 0.0, 5.0, FOREVER]))
    def request(self, which, keep) -> None:
        self.world.tickets += 1
        ticket = self.world.tickets
        self.open[ticket] = "waiting"
        self.models = {**getattr(self, "models", {}), ticket: which}
        self.feed(ev.LeaseWanted(self.world.now, ticket, which, keep))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def leave(self, data) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.open)))
        del self.open[ticket]
        self.feed(ev.LeaseReturned(self.world.now, ticket, self.models[ticket].engine_key))

    @rule(which=st.sampled_from(MODELS))
    def unload(self, which) -> None:
        self.feed(ev.UnloadWanted(self.world.now, which.engine_key))

    @rule(which=st.sampled_from(MODELS))
    def reconfigure(self, which) -> None:
        self.feed(ev.Reconfigured(self.world.now, which))

    @rule(seconds=st.sampled_from([0.5, 1.0, 10.0, 100.0, 1000.0]))
    def wait(self, seconds) -> None:
        self.world.now += seconds
        self.feed(ev.Ticked(self.world.now))

    @rule(
        which=st.sampled_from(MODELS),
        what=st.sampled_from(["plan", "spawn", "listen", "warm", "sleep", "hang", "die"]),
        asleep=st.sampled_from([0, 10]),
    )
    def live(self, which, what, asleep) -> None:
        engine = self.world.state.engines.get(which.engine_key)
        if engine is None:
            return
        now, key, run = self.world.now, which.engine_key, engine.run
        if what in {"spawn", "listen", "warm", "sleep", "hang", "die"} and self.living.get(key) != run:
            return
        self.feed(
            {
                "plan": ev.Planned(now, key, run, spec(which, asleep, self.world.code)),
                "spawn": ev.Spawned(now, key, run, 100),
                "listen": ev.Listening(now, key, run),
                "warm": ev.Warmed(now, key, run, Capacity(2048, 4096)),
                "sleep": ev.Slept(now, key, run),
                "die": ev.Died(now, key, run),
                "hang": ev.Unhealthy(now, key, run, Cause("hung", "it hung")),
            }[what]
        )

    @precondition(lambda self: any(self.plans(which) for which in MODELS))
    @rule(missing=st.sampled_from([None, 1, SIZE, 3 * SIZE]))
    def find_no_room(self, missing) -> None:
        for which in filter(self.plans, MODELS):
            engine, reported = self.world.engine(which), len(self.world.actions)
            now, key, run = self.world.now, which.engine_key, engine.run
            final = engine.phase == "waking" or self.alone[key]
            if missing is None:
                self.feed(ev.PlanRefused(now, key, run, BAD_FLAG))
            else:
                self.feed(ev.NoRoom(now, key, run, missing, BAD_FLAG))
            assert final or act.Refuse not in kinds(self.world.actions[reported:]), "refused by a plan beside a load"

    def plans(self, which) -> bool:
        engine = self.world.state.engines.get(which.engine_key)
        return engine is not None and engine.phase in {"planning", "waking"}

    @rule(which=st.sampled_from(MODELS), steps=st.integers(1, 4))
    def go_on(self, which, steps) -> None:
        """As it goes when nothing happens to it."""
        key = which.engine_key
        for _ in range(steps):
            engine = self.world.state.engines.get(key)
            now, run = self.world.now, engine.run if engine else 0
            match engine.phase if engine else "":
                case "planning":
                    self.feed(ev.Planned(now, key, run, spec(which, self.world.sleeps, self.world.code)))
                case "starting" if engine.pid is None:
                    self.feed(ev.Spawned(now, key, run, 100))
                case "starting":
                    self.feed(ev.Listening(now, key, run))
                case "warming" | "waking":
                    self.feed(ev.Warmed(now, key, run, Capacity(2048, 4096)))
                case "dozing":
                    self.feed(ev.Slept(now, key, run))
                case "stopping" | "failing":
                    self.die(which, CRASH)

    @rule(which=st.sampled_from(MODELS), cause=st.sampled_from([CRASH, BAD_FLAG, OUT_OF_MEMORY]))
    def die(self, which, cause) -> None:
        run = self.living.pop(which.engine_key, None)
        if run is not None:
            self.feed(ev.Exited(self.world.now, which.engine_key, run, cause))

    @precondition(lambda self: self.compiling is not None)
    @rule(how=st.sampled_from(["goes on", "made", "later", "fails"]))
    def compile(self, how) -> None:
        now, run = self.world.now, self.compiling
        if how == "goes on":
            self.feed(ev.CompilationProgressed(now, run, "compiling"))
            return
        self.compiling = None
        cause = CRASH if how == "fails" else None
        self.feed(ev.CompilationEnded(now, run, made=how == "made", later=how == "later", cause=cause))

    @rule(compiles=st.booleans())
    def change_the_policy(self, compiles) -> None:
        self.feed(ev.PolicyChanged(self.world.now, replace(self.world.state.policy, compiles=compiles)))

    @precondition(lambda self: not self.closed)
    @rule(really=st.integers(0, 20))
    def close(self, really) -> None:
        if really == 0:
            self.closed = True
            self.feed(ev.Closing(self.world.now))

    @invariant()
    def everybody_is_known(self) -> None:
        engines = self.world.state.engines.values()
        waiting = {w.ticket for e in engines for w in e.waiters}
        leased = {t for e in engines for t in e.leases}
        assert waiting == {t for t, how in self.open.items() if how == "waiting"}
        assert leased == {t for t, how in self.open.items() if how == "granted"}

    @invariant()
    def only_who_rests_stands_in_the_queue(self) -> None:
        queue, engines = self.world.state.queue, self.world.state.engines
        assert len(set(queue)) == len(queue)
        assert all(engines[key].phase in RESTING for key in queue)

    @invariant()
    def what_is_known_about_a_load_ends_with_it(self) -> None:
        for engine in self.world.state.engines.values():
            planned = engine.phase in {"planning", "waking"}
            assert (engine.outlook in {"alone", "parallel", "overtaken"}) == planned
            assert planned or engine.outlook == "open" or engine.key in self.world.state.queue

    @invariant()
    def no_more_load_than_may_and_one_is_planned_at_a_time(self) -> None:
        state = self.world.state
        loading = [e for e in state.engines.values() if e.phase in LOADING]
        assert len(loading) <= state.policy.parallel_starts
        assert sum(e.phase in {"planning", "waking"} or e.pid is None for e in loading) <= 1

    @invariant()
    def a_compilation_delays_nobody(self) -> None:
        state = self.world.state
        running = state.compilation
        assert (running.run if running else None) == self.compiling
        if running is None:
            return
        assert not any(e.phase in LOADING for e in state.engines.values()), "a load and a compilation"
        if not running.ending:
            assert not state.queue, "somebody waits for its end, which nobody asked for"
            assert not state.closing
            assert running.paused or not any(e.leases or e.waiters for e in state.engines.values())
            assert not running.paused or compilation_due(state) or any(e.leases for e in state.engines.values())

    @invariant()
    def who_stands_in_the_queue_waits_for_something_that_comes(self) -> None:
        state = self.world.state
        if not state.queue or any(e.phase in {*LOADING, *LEAVING} or e.yielding for e in state.engines.values()):
            return
        if state.compilation is not None and state.compilation.ending:
            return
        assert isinstance(state.engines[state.queue[0]].outlook, Short)
        assert next_deadline(state) is not None

    @invariant()
    def who_waits_has_something_to_wait_for(self) -> None:
        state = self.world.state
        for engine in state.engines.values():
            if engine.waiters:
                assert engine.phase != "broken"
                assert engine.phase != "ready" or engine.yielding or engine.outdated
                assert engine.phase != "absent" or engine.key in state.queue
                assert engine.phase != "backoff" or next_deadline(state) is not None

    @invariant()
    def nobody_yields_for_nobody(self) -> None:
        state = self.world.state
        if any(e.yielding and not e.outdated and e.phase == "ready" for e in state.engines.values()):
            assert state.queue or any(e.phase in LOADING for e in state.engines.values())

    @invariant()
    def pinned_engines_do_not_yield(self) -> None:
        assert not any(e.yielding and e.model.pinned for e in self.world.state.engines.values())

    @invariant()
    def phases_that_need_a_process_have_one(self) -> None:
        for engine in self.world.state.engines.values():
            alive = self.living.get(engine.key) == engine.run
            needs = engine.phase not in {"absent", "planning", "backoff", "broken"}
            assert needs == alive


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)

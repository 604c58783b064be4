"""Models and a state machine to play with, without files or processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vllama.engine.diagnose import Cause
from vllama.engine.spec import EngineSpec
from vllama.models.model import Facts, Model
from vllama.models.names import parse_name
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.policy import Policy
from vllama.supervisor.states import Capacity, State
from vllama.supervisor.step import step

SIZE = 100
CRASH = Cause("crashed", "it crashed")
BAD_FLAG = Cause("bad_flag", "vLLM does not know the argument --nope", "remove it", permanent=True)

OUT_OF_MEMORY = Cause("out_of_memory", "the GPU ran out of memory", permanent=True, memory=True)


def model(name: str = "mini", digest: str = "0" * 64) -> Model:
    parsed = parse_name(name)
    assert parsed is not None
    facts = Facts("LlamaForCausalLM", "llama", "generate", 10, 20, "BF16", 2048, 16)
    return Model(parsed, Path(f"/models/{name}"), facts, digest, 20, 0.0)


def spec(of: Model, asleep: int = 0, code: str = "") -> EngineSpec:
    """``code``: what it misses in the cache, for which it is eager."""
    socket, name = Path("/run/x.sock"), of.name.model
    made = EngineSpec(name, ("true",), {}, socket, name, "generate", size=SIZE, asleep=asleep)
    compiles = replace(made, socket=Path("/run/x.c.sock"), code=code, background=True)
    return replace(made, compiles=compiles) if code else made


class World:
    """Feeds events and remembers every action; ``now`` only moves when told."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.state = State(policy or Policy())
        self.now = 0.0
        self.actions: list[act.Action] = []
        self.tickets = 0
        self.sleeps = 0
        """What its engines keep while they sleep."""
        self.code = ""
        """The compiled code that its engines miss."""

    def feed(self, event: ev.Event) -> list[act.Action]:
        self.state, actions = step(self.state, event)
        self.actions += actions
        return actions

    def engine(self, of: Model):
        return self.state.engines[of.engine_key]

    def want(self, of: Model, keep_alive: float | None = None) -> int:
        self.tickets += 1
        self.feed(ev.LeaseWanted(self.now, self.tickets, of, keep_alive))
        return self.tickets

    def give_back(self, of: Model, ticket: int) -> list[act.Action]:
        return self.feed(ev.LeaseReturned(self.now, ticket, of.engine_key))

    def exit(self, of: Model, cause: Cause = CRASH) -> list[act.Action]:
        return self.feed(ev.Exited(self.now, of.engine_key, self.engine(of).run, cause))

    def start(self, of: Model) -> None:
        """From planning to ready."""
        key, run = of.engine_key, self.engine(of).run
        self.feed(ev.Planned(self.now, key, run, spec(of, self.sleeps, self.code)))
        self.feed(ev.Spawned(self.now, key, run, 100))
        self.feed(ev.Listening(self.now, key, run))
        self.feed(ev.Warmed(self.now, key, run, Capacity(2048, 4096)))

    def slept(self, of: Model) -> list[act.Action]:
        return self.feed(ev.Slept(self.now, of.engine_key, self.engine(of).run))

    def ready(self, of: Model, keep_alive: float | None = None) -> int:
        ticket = self.want(of, keep_alive)
        self.start(of)
        return ticket

    def tick(self, seconds: float) -> list[act.Action]:
        self.now += seconds
        return self.feed(ev.Ticked(self.now))

    def granted(self) -> list[int]:
        return [a.ticket for a in self.actions if isinstance(a, act.Grant)]

    def refused(self) -> dict[int, Cause]:
        return {a.ticket: a.cause for a in self.actions if isinstance(a, act.Refuse)}

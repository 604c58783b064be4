"""An adapter on its base's engine: room is made for it first, and it is loaded once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.supervisor.worlds import World, model, spec
from vllama.errors import EngineRefused, LoadFailed
from vllama.models.model import Adapter
from vllama.supervisor import actions as act
from vllama.supervisor import events as ev
from vllama.supervisor.adapters import Adapters

BASE = model("base")
ADAPTER = Adapter(Path("/state/files/abc"), 16)
TUNED = replace(BASE, adapter=ADAPTER, lora_rank=16, lora_count=1)


def with_room(world: World, rank: int) -> None:
    """The engine was started for adapters of that rank."""
    engine = world.engine(BASE)
    assert engine.spec is not None
    spec = replace(engine.spec, lora_rank=rank)
    world.state = replace(world.state, engines={**world.state.engines, engine.key: replace(engine, spec=spec)})


def test_an_engine_with_room_serves_base_and_adapter():
    world = World()
    world.ready(BASE)
    with_room(world, 16)
    assert world.want(TUNED) in world.granted()
    assert world.want(BASE) in world.granted()


def test_an_idle_engine_without_room_starts_again_for_the_adapter():
    world = World()
    world.give_back(BASE, world.ready(BASE))
    ticket = world.want(TUNED)
    assert isinstance(world.actions[-1], act.Stop)
    world.exit(BASE)
    assert world.engine(BASE).model == TUNED
    world.start(BASE)
    assert ticket in world.granted()


def test_running_answers_are_finished_before_room_is_made():
    world = World()
    running = world.ready(BASE)
    with_room(world, 8)
    waiting = world.want(TUNED)
    assert waiting not in world.granted()
    assert world.want(BASE) not in world.granted()
    assert [type(action) for action in world.give_back(BASE, running)] == [act.Stop]


def begin(world: World, phase: str) -> None:
    """The base is wanted, and its engine is that far."""
    world.want(BASE)
    key, run = BASE.engine_key, world.engine(BASE).run
    if phase == "backoff":
        world.start(BASE)
        world.exit(BASE)
    elif phase == "stopping":
        world.start(BASE)
        world.give_back(BASE, 1)
        world.feed(ev.UnloadWanted(world.now, key))
    elif phase != "planning":
        world.feed(ev.Planned(world.now, key, run, spec(BASE)))
        if phase == "warming":
            world.feed(ev.Listening(world.now, key, run))
    assert world.engine(BASE).phase == phase


@pytest.mark.parametrize("phase", ["planning", "starting", "warming", "backoff", "stopping"])
def test_an_adapter_that_is_asked_for_while_its_base_is_on_its_way_finds_room(phase: str):
    world = World()
    begin(world, phase)
    early = [w.ticket for w in world.engine(BASE).waiters]
    late = world.want(TUNED)
    if world.engine(BASE).phase == "stopping":
        world.exit(BASE)
    world.tick(60)
    planned = [action for action in world.actions if isinstance(action, act.Plan)][-1]
    assert (planned.run, planned.model.lora_rank) == (world.engine(BASE).run, 16)
    assert late not in world.granted()
    world.start(BASE)
    assert {*early, late} <= {*world.granted()}


class ScriptedClient:
    """Takes a moment for each call, and refuses what it is told to refuse."""

    def __init__(self, refusal: EngineRefused | None = None) -> None:
        self.refusal = refusal
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def call(self, path: str, body: dict[str, Any], *, timeout: float) -> bytes:
        self.calls.append((path, body))
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        return b""


async def test_an_adapter_is_loaded_once_whoever_asks():
    client, adapters = ScriptedClient(), Adapters()
    names = await asyncio.gather(*(adapters.load(client, ADAPTER) for _ in range(5)))  # type: ignore[arg-type]
    assert set(names) == {"abc"}
    assert client.calls == [("/v1/load_lora_adapter", {"lora_name": "abc", "lora_path": "/state/files/abc"})]


async def test_an_adapter_that_the_engine_refuses_is_reported_and_tried_again():
    client, adapters = ScriptedClient(EngineRefused("wrong modules")), Adapters()
    with pytest.raises(LoadFailed, match=r"^the adapter can't be loaded$"):
        await adapters.load(client, ADAPTER)  # type: ignore[arg-type]
    client.refusal = None
    assert await adapters.load(client, ADAPTER) == "abc"  # type: ignore[arg-type]

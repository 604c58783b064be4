"""From a call to an answer without any HTTP in front of it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.fakes.aside import InPlace
from tests.fakes.engines import FakeEngines
from tests.unit.http.conftest import CHATTER, KeptBooks
from tests.unit.http.scripted import CHAT, Reply, ScriptedEngine, error
from tests.unit.translate.chunks import chat, sse, usage
from vllama.answering.choices import open_choices
from vllama.answering.desk import Desk
from vllama.answering.generation import open_answer
from vllama.caller import Caller
from vllama.engine.client import EngineClient
from vllama.errors import EngineRefused, VllamaError
from vllama.supervisor.port import Wish
from vllama.translate.options import DEFAULTS
from vllama.translate.pieces import ChatCall, Ending, Message

CALL = ChatCall((Message("user", "Hi"),))


@dataclass
class House:
    engine: ScriptedEngine
    engines: FakeEngines
    books: KeptBooks
    desk: Desk


@pytest.fixture
async def house() -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="vl-") as folder:
        async with _running(Path(folder) / "e") as found:
            yield found


@asynccontextmanager
async def _running(socket: Path) -> AsyncIterator[House]:
    engine = ScriptedEngine()
    await engine.start(socket)
    engine.replies[CHAT] = [Reply(parts=[sse([chat({"content": "Hi"}), chat({}, "stop"), usage()])])]
    client = EngineClient(socket)
    engines = FakeEngines({CHATTER.path.name: client})
    books = KeptBooks(engines, socket.parent)
    yield House(engine, engines, books, Desk(engines, InPlace(), books.meter("/test"), Caller("10.0.0.7")))
    await client.close()
    await engine.stop()


async def test_the_last_step_says_what_it_took_and_which_engine_it_was(house):
    async with open_answer(house.desk, Wish(CHATTER), CALL) as answer:
        steps = [step async for batch in answer for step in batch]
    assert steps[0].content == "Hi"
    assert isinstance(steps[-1], Ending)
    assert 0 < steps[-1].load_ns <= steps[-1].total_ns
    assert house.desk.meter.engine == CHATTER.engine_key


async def test_the_wish_reaches_the_supervisor(house):
    async with open_answer(house.desk, Wish(CHATTER, 7.0), CALL):
        pass
    assert house.engines.keep_alives == [7.0]


async def test_what_the_engine_refuses_is_raised_on_entering(house):
    house.engine.replies[CHAT] = [error(400, "no such thing")]
    with pytest.raises(VllamaError) as raised:
        async with open_answer(house.desk, Wish(CHATTER), CALL):
            pass
    assert not isinstance(raised.value, EngineRefused)


@pytest.mark.parametrize(("seed", "sent"), [(-1, [None, None, None]), (5, [5, 6, 7])])
async def test_several_answers_have_seeds_of_their_own_where_there_is_one(house, seed, sent):
    call = replace(CALL, checked=replace(DEFAULTS, seed=seed))
    async with open_choices(house.desk, Wish(CHATTER), call, count=3) as choices:
        await choices.gather()
    assert sorted((body.get("seed") for body in house.engine.bodies(CHAT)), key=str) == sent

"""Our own routes for those who look at the service: status, history, requests, events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from tests.unit.http.scripted import CHAT, Reply
from tests.unit.service.views import view
from tests.unit.translate.chunks import chat
from vllama import __version__
from vllama.config.keys import KeyRing, make_key, write_keys
from vllama.config.schema import Config, Server
from vllama.http.own.status import engine
from vllama.observe.joules import Counter, Reading
from vllama.observe.lookout import MOST_LISTENERS
from vllama.observe.news import Listens, Notice, Ready, Reloading, Stopping
from vllama.observe.watch import Sight

ASKED = {"model": "tinychat", "messages": [{"role": "user", "content": "a secret"}]}


async def get(server, path: str, **headers: str):
    async with server.session.get(server.base + path, headers=headers) as answer:
        return answer.status, await answer.json()


@asynccontextmanager
async def listening(server, **headers: str) -> AsyncIterator[asyncio.StreamReader]:
    async with server.session.get(server.base + "/vllama/events", headers=headers) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        yield answer.content


async def event(stream, name: str):
    """The data of the next event of that name."""
    async with asyncio.timeout(10):
        while (line := await stream.readline()) != f"event: {name}\n".encode():
            assert line, "the stream has ended"
        return orjson.loads((await stream.readline()).removeprefix(b"data: "))


async def ended(stream) -> None:
    async with asyncio.timeout(10):
        while await stream.readline():
            pass


async def test_the_status_tells_what_the_idle_machine_costs(server):
    lookout = server.books.lookout
    await lookout.machine.look()
    assert "idle_watts" not in (await get(server, "/vllama/status"))[1]["machine"], "unknown is absent"
    for at, joules in ((0.0, 1000.0), (5.0, 1205.0)):
        await lookout.energy.note(Reading(at, {"gpu0": Counter("gpu0", joules)}), (), ())
    assert (await get(server, "/vllama/status"))[1]["machine"]["idle_watts"] == {"gpu0": 41.0}


async def test_the_status_shows_the_machine_the_engines_and_what_is_to_be_done(server):
    feed = server.books.lookout.feed
    for news in (Listens("127.0.0.1", 11434), Ready(), Notice("key file", "the key file /etc/vllama.keys is broken")):
        feed.publish(news)
    await server.books.lookout.machine.look()
    await server.post("/api/chat", ASKED)
    status, found = await get(server, "/vllama/status")
    assert (status, found["version"], found["state"]) == (200, __version__, "ready")
    assert found["machine"]["memory"] == {"total": 8 << 30, "free": 5 << 30, "used": 3 << 30, "engines": 0}
    assert [engine["name"] for engine in found["engines"]] == ["tinychat:latest"]
    (notice,) = found["notices"]
    assert "/etc" not in notice, "no path of the server reaches a client"
    assert found["may_manage"] is True


async def test_the_status_says_where_an_engine_computes_and_how_much_at_once(server):
    await server.post("/api/chat", ASKED)
    before = time.time()
    server.books.lookout.engine_version = "0.32.0"
    found = (await get(server, "/vllama/status"))[1]
    assert before <= found["now"] <= time.time()
    assert found["engine_version"] == "0.32.0"
    (loaded,) = found["engines"]
    shown = [loaded[name] for name in ("device", "weights", "kv_cache", "max_requests")]
    assert shown == ["cpu", 1_200_000_000, 500_000_000, 64]


def test_what_an_engine_does_not_hold_is_left_out():
    planned = {"size": 30, "size_vram": 30, "weights": 20, "kv_cache": 5, "gpus": (0, 1), "max_requests": 8}
    on_gpu = replace(view("big", "ready"), **planned)
    assert {"device": [0, 1], "weights": 20, "kv_cache": 5, "max_requests": 8}.items() <= engine(
        on_gpu, Sight()
    ).items()
    asleep = engine(replace(on_gpu, phase="asleep"), Sight())
    assert asleep["device"] == [0, 1]
    assert not {"weights", "kv_cache"} & asleep.keys()
    unseen = engine(replace(on_gpu, gpus=()), Sight())
    assert "device" not in unseen, "the GPUs can't be told"
    assert not {"device", "weights", "kv_cache", "max_requests"} & engine(view("new", "planning"), Sight()).keys()


async def test_a_service_that_has_not_loaded_anything_yet_is_starting(server):
    assert (await get(server, "/vllama/status"))[1]["state"] == "starting"


async def test_a_request_that_ended_is_listed_without_what_it_said(server):
    async with server.session.get(server.base + "/vllama/requests") as answer:
        assert await answer.json() == {"live": [], "ended": []}
    await server.post("/api/chat", ASKED)
    async with server.session.get(server.base + "/vllama/requests") as answer:
        text = await answer.text()
    (ended_one,) = orjson.loads(text)["ended"]
    assert (ended_one["model"], ended_one["route"], ended_one["outcome"]) == ("tinychat:latest", "/api/chat", "ok")
    assert 0 <= ended_one["waiting"] <= ended_one["ttft"] <= ended_one["seconds"]
    assert "secret" not in text


async def test_the_history_has_what_ended(server):
    await server.post("/api/chat", ASKED)
    server.books.lookout.history.step()
    _, found = await get(server, "/vllama/history")
    assert (found["step"], len(found["points"])) == (10, 1)
    assert found["points"][0]["requests_per_second"] == 0.1


async def test_events_begin_with_the_version_and_the_present_state(server):
    async with listening(server) as stream:
        assert await event(stream, "hello") == {"version": __version__}
        assert (await event(stream, "status"))["state"] == "starting"


async def test_events_tell_changes_points_and_requests(server):
    async with listening(server) as stream:
        await event(stream, "status")
        server.books.lookout.feed.publish(Ready())
        assert (await event(stream, "status"))["state"] == "ready"
        server.books.lookout.history.step()
        assert (await event(stream, "history"))["requests_per_second"] == 0
        await server.post("/api/chat", ASKED)
        assert (await event(stream, "request"))["model"] == "tinychat:latest"


@pytest.mark.parametrize("news", [Stopping(30), Reloading()])
async def test_events_end_when_the_service_stops_or_reloads(server, news):
    async with listening(server) as stream:
        await event(stream, "status")
        server.books.lookout.feed.publish(news)
        await ended(stream)
    assert server.books.lookout.listeners == 0


async def test_more_listeners_than_there_are_places_for_are_told_to_come_again(server):
    server.books.lookout.listeners = MOST_LISTENERS
    async with server.session.get(server.base + "/vllama/events") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"]


async def running(server):
    """Wait for a request that is being answered."""
    async with asyncio.timeout(10):
        while not (found := (await get(server, "/vllama/requests"))[1]["live"]):
            pass
    return found[0]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_request_can_be_cancelled_and_its_client_is_told(server, stream, begun):
    first = [b"data: %b\n\n" % chat({"content": "Hi"})] if begun else []
    server.engine.replies[CHAT] = [Reply(parts=first, hold=True)]
    asking = asyncio.create_task(server.post("/api/chat", {**ASKED, "stream": stream}))
    found = await running(server)
    async with server.session.delete(f"{server.base}/vllama/requests/{found['id']}") as answer:
        assert (answer.status, await answer.json()) == (200, {"cancelled": 1})
    _, told = await asking
    assert "cancelled" in str(told)
    assert server.books.spent[-2].outcome == "cancelled" or server.books.spent[-1].outcome == "cancelled"
    assert (await get(server, "/vllama/requests"))[1]["live"] == []


async def test_a_request_that_nobody_made_can_not_be_cancelled(server):
    async with server.session.delete(server.base + "/vllama/requests/none") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "no request none is being answered"})


class TestWithKeys:
    USER, USERS = make_key("laptop", "use", "2026-11-21")
    OTHER, OTHERS = make_key("other", "use", "2026-11-21")
    ADMIN, ADMINS = make_key("admin", "manage", "2026-11-21")

    @pytest.fixture
    def keys(self, tmp_path):
        write_keys(tmp_path / "keys", [self.USER, self.OTHER, self.ADMIN])
        return KeyRing([tmp_path / "keys"])

    @pytest.fixture
    def config(self):
        return Config(server=Server(host="127.0.0.1", port=0, keys="everyone"))

    @pytest.mark.parametrize("path", ["status", "history", "requests", "events"])
    async def test_nothing_is_shown_without_a_key(self, server, path):
        assert (await get(server, f"/vllama/{path}"))[0] == 401

    async def test_each_sees_its_own_requests_and_who_manages_sees_all(self, server):
        server.session.headers["Authorization"] = f"Bearer {self.USERS}"
        await server.post("/api/chat", ASKED)
        seen = []
        for secret in (self.USERS, self.OTHERS, self.ADMINS):
            _, found = await get(server, "/vllama/requests", Authorization=f"Bearer {secret}")
            seen.append([one["key"] for one in found["ended"]])
        assert seen == [["laptop"], [], ["laptop"]]

    async def test_only_who_manages_cancels(self, server):
        headers = {"Authorization": f"Bearer {self.USERS}"}
        async with server.session.delete(server.base + "/vllama/requests/x", headers=headers) as answer:
            assert answer.status == 403

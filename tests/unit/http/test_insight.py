"""Our own routes that look ahead and at the machine, and the description of all of them."""

from __future__ import annotations

import orjson
import pytest

from tests.openapi import Description
from tests.unit.http.scripted import CHAT, Reply
from tests.unit.service.views import view
from tests.unit.translate.chunks import chat
from vllama import __version__
from vllama.http.own.routes import ROUTES
from vllama.observe.news import EngineChanged, Listens, Notice, Ready

ASKED = {"model": "tinychat", "messages": [{"role": "user", "content": "hi"}]}
NOT_JSON = {"/metrics", "/vllama/events", "/vllama/", "/vllama/web/{file:.+}", "/"}


async def get(server, path: str):
    async with server.session.get(server.base + path) as answer:
        return answer.status, await answer.json()


@pytest.fixture
async def description(server) -> Description:
    return Description((await get(server, "/vllama/openapi.json"))[1])


async def test_a_plan_says_whether_a_model_fits(server, description):
    status, found = await get(server, "/vllama/plan?model=tinychat")
    assert (status, found["fits"], found["chats"]) == (200, True, 4.2)
    assert "download" not in found, "what is not known is left out"
    assert description.faults("get", "/vllama/plan", 200, found) == []


@pytest.mark.parametrize(("query", "status"), [("?model=nobody", 404), ("?model=%2Fetc%2Fpasswd", 400), ("", 400)])
async def test_a_plan_for_what_is_no_model_is_refused(server, description, query, status):
    told, found = await get(server, f"/vllama/plan{query}")
    assert told == status
    assert description.faults("get", "/vllama/plan", status, found) == []


async def test_health_has_the_checks_without_paths_of_the_server(server, description):
    status, found = await get(server, "/vllama/health")
    assert status == 200
    good, warning, bad = found["checks"]
    assert good == {"name": "python", "state": "ok", "text": "3.12.1"}
    assert (warning["state"], warning["hint"]) == ("warning", "Free some space")
    assert bad["state"] == "error"
    assert "vllama doctor" in bad["hint"], "a command that lost its path would do something else"
    assert "/var" not in str(found)
    assert found["versions"]["engine"] == "0.32.0"
    assert description.faults("get", "/vllama/health", 200, found) == []


async def test_health_tells_the_last_failures_of_engines(server):
    failures = server.books.lookout.failures
    for phase in ("starting", "backoff", "backoff", "starting", "broken"):
        failures.take(EngineChanged(view("mini", phase, cause=f"{phase}: see /var/log/x")))
    _, found = await get(server, "/vllama/health")
    assert [failure["cause"] for failure in found["failures"]] == ["broken: see x", "backoff: see x"]


async def test_each_answer_is_as_the_description_says(server, description):
    feed = server.books.lookout.feed
    for news in (Listens("127.0.0.1", 11434), Ready(), Notice("key file", "broken")):
        feed.publish(news)
    await server.books.lookout.machine.look()
    await server.post("/api/chat", ASKED)
    server.books.lookout.history.step()
    server.engine.replies[CHAT] = [Reply(parts=[b"data: %b\n\n" % chat({"content": "Hi"})], hold=True)]
    async with server.session.post(server.base + "/api/chat", json=ASKED) as answer:
        await answer.content.readany()
        for path in ("/vllama/status", "/vllama/engines", "/vllama/history", "/vllama/requests"):
            status, found = await get(server, path)
            assert description.faults("get", path, status, found) == []
        (live,) = found["live"]
        async with server.session.delete(f"{server.base}/vllama/requests/{live['id']}") as answer:
            assert description.faults("delete", "/vllama/requests/{id}", answer.status, await answer.json()) == []


async def test_the_check_sees_what_the_description_lacks(description):
    faults = description.faults("get", "/vllama/history", 200, {"step": "10", "points": [{"at": 1}], "more": 1})
    assert len(faults) == 6
    assert "answer.more is not described" in faults


async def test_all_routes_are_described_and_no_others(description):
    ours = {(route.method.lower(), route.path) for route in ROUTES if route.path not in NOT_JSON}
    described = {(method, path) for path, methods in description.document["paths"].items() for method in methods}
    assert described - {("get", "/vllama/events")} == ours
    assert description.document["info"]["version"] == __version__
    assert description.document["openapi"].startswith("3.1")
    text = orjson.dumps(description.document).decode()
    for name in description.document["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text, f"{name} is used nowhere"

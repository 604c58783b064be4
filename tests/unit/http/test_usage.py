"""``/vllama/usage``, and who is believed when a header names a person."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.openapi import Description
from vllama.caller import Caller
from vllama.config.keys import KeyRing, make_key, write_keys
from vllama.config.schema import Config, People, Server
from vllama.observe.spent import Spent

ASKED = {"model": "tinychat", "messages": [{"role": "user", "content": "a secret"}]}
OPENAPI = "/vllama/openapi.json"
HEADER = "X-OpenWebUI-User-Email"
USE, USE_SECRET = make_key("webui", "use", "2026-11-21")
OTHER, OTHER_SECRET = make_key("other", "use", "2026-11-21")
MANAGE, MANAGE_SECRET = make_key("admin", "manage", "2026-11-21")


async def ask(server, query: str = "", *, method: str = "GET", secret: str = ""):
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    async with server.session.request(method, f"{server.base}/vllama/usage{query}", headers=headers) as answer:
        return answer.status, await answer.json()


async def test_tokens_agree_with_the_answer(server):
    _, answer = await server.post("/api/chat", {**ASKED, "stream": False})
    await server.post("/api/chat", {"model": "unknown"})
    status, found = await ask(server, "?by=model,day")
    (row,) = found["rows"]
    assert (status, row["model"], row["requests"], found["lost"]) == (200, "tinychat:latest", 1, 0)
    assert row["prompt_tokens"] == answer["prompt_eval_count"]
    assert row["generated_tokens"] == answer["eval_count"]
    assert {"money", "joules"}.isdisjoint(row)
    assert "currency" not in found
    description = Description(json.loads(await (await server.session.get(server.base + OPENAPI)).read()))
    assert description.faults("get", "/vllama/usage", 200, found) == []


@pytest.mark.parametrize("query", ["?by=prompt", "?since=yesterday", "?until=2026-13", "?format=xml"])
async def test_what_is_not_understood_is_named(server, query):
    status, found = await ask(server, query)
    assert status == 400
    assert query[1:].partition("=")[0] in found["error"]


async def test_csv_has_no_cell_that_a_spreadsheet_takes_for_a_formula(server):
    who = Caller("10.0.0.1", person='=HYPERLINK("http://evil")')
    server.books.usage.take(Spent(who, "/api/chat", "tiny:latest", 200, 1.0, began=1_796_000_000.0))
    path = "/vllama/usage?by=person&since=2020-01-01&until=2030-01-01&format=csv"
    async with server.session.get(server.base + path) as answer:
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["person"] for row in rows] == ['\'=HYPERLINK("http://evil")']
    assert rows[0]["requests"] == "1"


async def test_a_person_is_deleted(server):
    server.books.usage.take(Spent(Caller("a", person="bob"), "/api/chat", "tiny:latest", 200, 1.0, began=1.8e9))
    assert await ask(server, method="DELETE") == (400, {"error": "person is missing: whose usage is to be deleted?"})
    assert await ask(server, "?person=bob", method="DELETE") == (200, {"deleted": 1})
    assert (await ask(server, "?since=2020-01-01&until=2040-01"))[1]["rows"] == []


class TestWithKeys:
    @pytest.fixture
    def keys(self, tmp_path):
        write_keys(tmp_path / "keys", [USE, OTHER, MANAGE])
        return KeyRing([tmp_path / "keys"])

    @pytest.fixture
    def config(self):
        people = People(header=HEADER, keys=("webui",))
        server = Server(host="127.0.0.1", port=0, keys="everyone", trusted_proxies=("127.0.0.1",))
        return Config(server=server, people=people)

    async def test_others_see_and_delete_nothing_that_is_not_theirs(self, server):
        for secret in (USE_SECRET, OTHER_SECRET):
            server.session.headers["Authorization"] = f"Bearer {secret}"
            await server.post("/api/chat", ASKED)
        del server.session.headers["Authorization"]
        assert (await ask(server))[0] == 401
        assert [row["key"] for row in (await ask(server, "?by=key", secret=USE_SECRET))[1]["rows"]] == ["webui"]
        _, all_of_it = await ask(server, "?by=key", secret=MANAGE_SECRET)
        assert sorted(row["key"] for row in all_of_it["rows"]) == ["other", "webui"]
        assert (await ask(server, "?person=bob", method="DELETE", secret=USE_SECRET))[0] == 403


class TestPeople:
    @pytest.fixture
    def config(self, request):
        proxies = getattr(request, "param", ())
        return Config(
            server=Server(host="127.0.0.1", port=0, trusted_proxies=proxies, access="any"),
            people=People(header=HEADER, keys=(USE.id,)),
        )

    @pytest.fixture
    def keys(self, tmp_path):
        write_keys(tmp_path / "keys", [USE, OTHER])
        return KeyRing([tmp_path / "keys"])

    async def person(self, server, **headers: str) -> str:
        async with server.session.post(f"{server.base}/api/chat", json=ASKED, headers=headers) as answer:
            await answer.read()
        return server.books.spent[-1].caller.person

    async def test_this_machine_is_believed(self, server):
        assert await self.person(server, **{HEADER: " anna@example.org "}) == "anna@example.org"

    async def test_one_behind_a_proxy_that_is_not_trusted_is_not_believed(self, server):
        assert await self.person(server, **{HEADER: "anna", "X-Forwarded-For": "203.0.113.5"}) == ""

    async def test_a_key_that_is_trusted_is_believed_anywhere_and_another_is_not(self, server):
        away = {HEADER: "anna", "X-Forwarded-For": "203.0.113.5"}
        assert await self.person(server, Authorization=f"Bearer {USE_SECRET}", **away) == "anna"
        assert await self.person(server, Authorization=f"Bearer {OTHER_SECRET}", **away) == ""

    @pytest.mark.parametrize("config", [("127.0.0.1",)], indirect=True)
    async def test_a_trusted_proxy_is_believed(self, server):
        assert await self.person(server, **{HEADER: "anna", "X-Forwarded-For": "203.0.113.5"}) == "anna"

    @pytest.mark.parametrize("name", ["x" * 201, "a\tb", ""])
    async def test_what_is_no_name_is_nobody(self, server, name):
        assert await self.person(server, **{HEADER: name}) == ""

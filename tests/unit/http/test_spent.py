"""What is known of a request when its answer has ended: who sent it, what it used and how it ended."""

from __future__ import annotations

import pytest

from vllama.caller import Caller
from vllama.config.keys import KeyRing, make_key, write_keys
from vllama.config.schema import Config, Server

KEY, SECRET = make_key("laptop", "use", "2026-11-21")


class TestWithAKey:
    @pytest.fixture
    def keys(self, tmp_path):
        write_keys(tmp_path / "keys", [KEY])
        return KeyRing([tmp_path / "keys"])

    @pytest.fixture
    def config(self):
        return Config(server=Server(host="127.0.0.1", port=0, keys="everyone"))

    async def test_the_caller_is_the_one_of_the_key(self, server):
        server.session.headers["Authorization"] = f"Bearer {SECRET}"
        asked = {"model": "tinychat", "messages": [{"role": "user", "content": "Hi"}]}
        assert (await server.post("/api/chat", asked))[0] == 200
        (spent,) = server.books.spent
        assert spent.caller == Caller("127.0.0.1", KEY.id, "laptop", "use")

    async def test_a_key_that_is_unknown_names_nobody(self, server):
        server.session.headers["Authorization"] = "Bearer vllama-other"
        assert (await server.post("/api/chat", {"model": "tinychat"}))[0] == 401
        assert server.books.spent[0].caller == Caller("127.0.0.1")


async def test_an_answer_has_its_model_its_tokens_and_its_times(server):
    asked = {"model": "TinyChat", "messages": [{"role": "user", "content": "Hi"}]}
    await server.post("/v1/chat/completions", asked)
    (spent,) = server.books.spent
    assert (spent.route, spent.model, spent.status) == ("/v1/chat/completions", "tinychat:latest", 200)
    assert (spent.prompt_tokens > 0, spent.generated_tokens > 0) == (True, True)
    assert 0 < spent.first_token <= spent.seconds
    assert spent.machine_seconds == pytest.approx(spent.engine_seconds, abs=0.01), "nobody else was there"


async def test_all_answers_to_one_request_are_counted(server):
    asked = {"model": "tinychat", "messages": [{"role": "user", "content": "Hi"}]}
    await server.post("/v1/chat/completions", asked)
    await server.post("/v1/chat/completions", {**asked, "n": 3})
    one, three = server.books.spent
    assert three.generated_tokens == 3 * one.generated_tokens


@pytest.mark.parametrize(("path", "asked"), [("/api/chat", {}), ("/v1/chat/completions", {"model": "unknown"})])
async def test_a_request_that_reaches_no_model_names_none(server, path, asked):
    await server.post(path, {"messages": [{"role": "user", "content": "Hi"}], **asked})
    (spent,) = server.books.spent
    assert (spent.model, spent.first_token, spent.status // 100) == ("", None, 4)

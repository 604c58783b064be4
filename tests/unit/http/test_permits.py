from __future__ import annotations

import pytest
from aiohttp import ClientSession, web

from vllama.config.keys import KeyRing, make_key, write_keys
from vllama.config.schema import Server
from vllama.errors import VllamaError
from vllama.http.access import read_host_check
from vllama.http.faults import error_response, message_of
from vllama.http.peers import read_reach
from vllama.http.permits import make_permits

FROM_AFAR = {"X-Forwarded-For": "192.168.1.7"}
FROM_OUTSIDE = {"X-Forwarded-For": "8.8.8.8"}


@pytest.fixture
async def ask(tmp_path):
    """``ask(server, method, path, headers, keys)``: the status behind a trusted proxy on this machine."""
    runners = []

    async def ask(server: dict, method: str, path: str, headers: dict, *scopes: str) -> tuple[int, dict]:
        keys = [make_key(scope, scope, "2026-11-21") for scope in scopes]
        write_keys(tmp_path / "keys", [key for key, _ in keys])
        configured = Server.model_validate({"trusted_proxies": ["127.0.0.1"], "host": "0.0.0.0", **server})
        rules, hosts = read_reach(configured), read_host_check(configured.host, configured.names)

        @web.middleware
        async def reported(request, handler):
            try:
                return await handler(request)
            except VllamaError as error:
                return error_response(request.path, error.http_status, message_of(error))

        app = web.Application(middlewares=[reported, make_permits(rules, hosts, KeyRing([tmp_path / "keys"]))])

        async def fine(_: web.Request) -> web.Response:
            return web.json_response({})

        app.router.add_route("*", path, fine)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        headers = {name: value.format(*(secret for _, secret in keys)) for name, value in headers.items()}
        async with (
            ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{runner.addresses[0][1]}{path}", headers=headers) as answer,
        ):
            return answer.status, await answer.json()

    yield ask
    for runner in runners:
        await runner.cleanup()


async def test_the_local_network_chats_and_may_not_pull(ask):
    assert (await ask({}, "POST", "/api/chat", FROM_AFAR))[0] == 200
    status, body = await ask({}, "POST", "/api/pull", FROM_AFAR)
    assert status == 403
    assert body["error"].startswith("192.168.1.7 may not manage models: only the server's own machine may\n")


async def test_this_machine_may_pull(ask):
    assert (await ask({}, "POST", "/api/pull", {}))[0] == 200


async def test_a_key_to_manage_opens_it_and_one_to_use_does_not(ask):
    bearer = {"Authorization": "Bearer {0}"}
    assert (await ask({}, "POST", "/api/pull", {**FROM_AFAR, **bearer}, "manage"))[0] == 200
    status, body = await ask({}, "POST", "/api/pull", {**FROM_AFAR, **bearer}, "use")
    assert status == 403
    assert body["error"].startswith("this API key may use models, but not manage them\n")


async def test_a_public_peer_is_refused_whatever_it_asks_and_in_its_dialect(ask):
    assert (await ask({}, "GET", "/api/version", FROM_OUTSIDE))[0] == 403
    status, body = await ask({}, "POST", "/v1/messages", FROM_OUTSIDE)
    assert (status, body["type"], body["error"]["type"]) == (403, "error", "permission_error")


async def test_where_keys_are_required_other_machines_need_one(ask):
    required = {"keys": "required"}
    assert (await ask(required, "POST", "/api/chat", FROM_AFAR))[0] == 401
    assert (await ask(required, "POST", "/api/chat", {**FROM_AFAR, "x-api-key": "{0}"}, "use"))[0] == 200
    assert (await ask(required, "POST", "/api/chat", {**FROM_AFAR, "x-api-key": "wrong"}, "use"))[0] == 401
    assert (await ask(required, "GET", "/api/version", FROM_AFAR))[0] == 200
    assert (await ask(required, "POST", "/api/chat", {}))[0] == 200


async def test_a_key_that_nobody_needs_is_no_mistake(ask):
    assert (await ask({}, "POST", "/api/chat", {**FROM_AFAR, "Authorization": "Bearer ollama"}))[0] == 200


async def test_a_proxy_that_is_not_declared_can_not_manage(ask):
    assert (await ask({"trusted_proxies": []}, "POST", "/api/delete", FROM_AFAR))[0] == 200  # not a management method
    assert (await ask({"trusted_proxies": []}, "DELETE", "/api/delete", FROM_AFAR))[0] == 403


REBOUND = {"Host": "evil.example:11434", "Origin": "http://evil.example:11434"}
BEARER = {"Authorization": "Bearer {0}"}


async def test_a_page_under_a_name_of_its_own_reaches_nothing_on_this_machine(ask):
    for method, path in (("GET", "/api/tags"), ("POST", "/api/chat"), ("DELETE", "/api/delete"), ("GET", "/metrics")):
        status, body = await ask({}, method, path, REBOUND)
        assert status == 403
        assert "'evil.example:11434'" in str(body)
        assert "server.names" in str(body)


async def test_a_page_can_not_pass_for_a_proxy(ask):
    strange = {**REBOUND, "X-Forwarded-For": "192.168.1.7"}
    assert (await ask({"trusted_proxies": []}, "GET", "/api/tags", strange))[0] == 403


async def test_the_network_uses_models_under_any_name_and_manages_them_under_ours(ask):
    named = {**FROM_AFAR, "Host": "llm.office.example"}
    lan = {"management": "lan"}
    assert (await ask(lan, "POST", "/api/chat", named))[0] == 200
    assert (await ask(lan, "POST", "/api/pull", named))[0] == 403
    assert (await ask({**lan, "names": ["LLM.office.example"]}, "POST", "/api/pull", named))[0] == 200


async def test_a_client_with_a_key_is_no_page_and_may_call_us_as_it_likes(ask):
    named = {**FROM_AFAR, **BEARER, "Host": "llm.office.example"}
    assert (await ask({}, "POST", "/api/pull", named, "manage"))[0] == 200


async def test_where_everyone_needs_a_key_this_machine_does_too(ask):
    everyone = {"keys": "everyone", "trusted_proxies": []}
    for method, path in (("GET", "/api/tags"), ("POST", "/api/chat"), ("POST", "/api/pull"), ("GET", "/metrics")):
        assert (await ask(everyone, method, path, {}))[0] == 401
        assert (await ask(everyone, method, path, BEARER, "manage"))[0] == 200
    assert (await ask(everyone, "POST", "/api/pull", BEARER, "use"))[0] == 403
    assert (await ask(everyone, "GET", "/api/version", {}))[0] == 200


async def test_a_key_that_is_not_known_is_not_a_missing_key(ask):
    required = {"keys": "required"}
    assert (await ask(required, "POST", "/api/chat", FROM_AFAR))[1]["error"].startswith("an API key is needed\n")
    wrong = {**FROM_AFAR, "Authorization": "Bearer wrong"}
    assert (await ask(required, "POST", "/api/chat", wrong))[1]["error"].startswith("this API key is not known\n")
    status, body = await ask({}, "POST", "/api/pull", wrong)
    assert (status, "The API key that was sent is not known" in body["error"]) == (403, True)
    assert "that was sent" not in (await ask({}, "POST", "/api/pull", FROM_AFAR))[1]["error"]

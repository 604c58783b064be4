"""What docs/proxy.md sets up: TLS, a key from everybody, and every token at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.fakes import interpreter
from tests.fakes.control import EngineControl
from tests.fakes.model_dir import scripted
from tests.hostile.proxies import NAME, Proxy, block, caddy, nginx
from tests.live import LiveService
from vllama.config.keys import make_key, write_keys

SECRETS: dict[str, str] = {}


@pytest.fixture(params=[nginx, caddy])
async def proxy(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Proxy]:
    """The service as the page configures it, behind a proxy as the page configures it."""
    server = yaml.safe_load(block("yaml"))["server"]
    keys = {scope: make_key(scope, scope, "2026-11-21") for scope in ("use", "manage")}
    write_keys(folder / "keys", [key for key, _ in keys.values()])
    SECRETS.update({scope: secret for scope, (_, secret) in keys.items()})
    server |= {"port": 0, "keys_file": str(folder / "keys")}
    stuck = scripted(folder, "stuck", text="word " * 200, trouble="hang", after_tokens=60)
    models = {"tinychat": {"source": str(scripted(folder, "tinychat"))}, "stuck": {"source": str(stuck)}}
    config = {"server": server, "models": models, "engine": {"python": str(interpreter.write(folder))}}
    async with LiveService(folder, config) as service, request.param(folder, int(service.url.rpartition(":")[2])) as up:
        yield up


async def ask(proxy: Proxy, method: str, path: str, key: str = "", body: object = None, **headers: str):
    """Status and text of an answer that came over TLS, asked for by the public name."""
    headers = {"Host": NAME, **({"Authorization": f"Bearer {SECRETS[key]}"} if key else {}), **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, proxy.url + path, json=body, headers=headers, ssl=proxy.trust) as answer,
    ):
        return answer.status, await answer.text()


async def test_nobody_gets_through_without_a_key(proxy: Proxy):
    forged = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-IP": "127.0.0.1"}
    for headers in ({}, forged):
        assert (await ask(proxy, "GET", "/api/tags", **headers))[0] == 401
        assert (await ask(proxy, "POST", "/api/pull", body={"model": "x"}, **headers))[0] == 401
        assert (await ask(proxy, "DELETE", "/api/delete", body={"model": "x"}, **headers))[0] == 401
    assert (await ask(proxy, "GET", "/api/version"))[0] == 200


async def test_a_key_opens_what_it_is_for(proxy: Proxy):
    assert (await ask(proxy, "GET", "/api/tags", "use"))[0] == 200
    assert (await ask(proxy, "DELETE", "/api/delete", "use", {"model": "nobody"}))[0] == 403
    status, text = await ask(proxy, "DELETE", "/api/delete", "manage", {"model": "nobody"})
    assert (status, "not found" in text) == (404, True)


async def test_an_answer_streams_through(proxy: Proxy):
    body = {"model": "tinychat", "messages": [{"role": "user", "content": "hi"}]}
    status, text = await ask(proxy, "POST", "/api/chat", "use", body)
    assert status == 200, text
    assert '"done":true' in text.splitlines()[-1]


async def test_no_token_waits_for_the_next(proxy: Proxy):
    """The engine hangs in the middle of the answer: what it wrote before has reached the client."""
    body = {"model": "stuck", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Host": NAME, "Authorization": f"Bearer {SECRETS['use']}"}
    async with (
        asyncio.timeout(30),
        aiohttp.ClientSession() as session,
        session.post(f"{proxy.url}/api/chat", json=body, headers=headers, ssl=proxy.trust) as answer,
    ):
        assert answer.status == 200
        came = ""
        while came.count("word") < 40:
            came += json.loads(await answer.content.readline())["message"]["content"]


def socket_of(folder: Path) -> Path:
    """Where the fake engine of tinychat listens."""
    (socket,) = folder.rglob("tinychat-*.sock")
    return socket


@pytest.mark.parametrize("stream", [True, False])
async def test_the_engine_stops_computing_when_a_client_leaves(proxy: Proxy, folder: Path, *, stream: bool):
    """The proxy ends its own request, and the service aborts the engine's."""
    await ask(proxy, "POST", "/api/generate", "use", {"model": "tinychat"})
    engine = EngineControl(socket_of(folder))
    await engine.script(token_rate=2)
    body = json.dumps({"model": "tinychat", "prompt": "count to 900", "stream": stream})
    key = f"Authorization: Bearer {SECRETS['use']}"
    argv = ["curl", "-sk", "-H", f"Host: {NAME}", "-H", key, "-d", body, f"{proxy.url}/api/generate"]
    client = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.DEVNULL)
    await engine.until(running=1)
    client.kill()
    await client.wait()
    await engine.until(running=0)
    assert (await engine.state())["generation_tokens"] < 900

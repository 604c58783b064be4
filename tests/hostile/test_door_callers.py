"""Who may manage is decided by who really calls."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client
from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import ROOT, LiveService
from vllama.config.keys import make_key, write_keys

MANAGING = (
    *(("POST", f"/api/{verb}") for verb in ("pull", "push", "create", "copy", "blobs/sha256:" + "0" * 64)),
    ("DELETE", "/api/delete"),
)
USING = (("GET", "/api/tags"), ("POST", "/api/chat"), ("GET", "/v1/models"), ("POST", "/v1/messages"), ("GET", "/x"))
EVIL = {"Host": "evil.example:11434", "Origin": "http://evil.example:11434"}
LAN = {"X-Forwarded-For": "192.168.1.7"}
TRUSTED = {"trusted_proxies": ["127.0.0.1"]}


def configured(folder: Path, server: dict[str, Any], **more: Any) -> LiveService:
    """A service with models ``tinychat`` and ``other``, whose API keys are in ``folder/keys``."""
    models = {name: {"source": str(scripted(folder, name))} for name in ("tinychat", "other")}
    server = {"port": 0, "host": "127.0.0.1", "keys_file": str(folder / "keys"), **server}
    engine = {"python": str(interpreter.write(folder))}
    return LiveService(folder, {"server": server, "engine": engine, "models": models, **more})


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
async def bound(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[LiveService]:
    async with configured(folder, {"host": request.param}) as service:
        yield service


async def status(client: Client, method: str, path: str, headers: dict[str, str]) -> int:
    async with client.session.request(method, path, json={}, headers=headers) as answer:
        await answer.read()
        return answer.status


async def test_no_web_page_reaches_the_service_of_its_own_machine(bound: LiveService):
    for method, path in (*MANAGING, *USING):
        for more in ({}, LAN, {"Forwarded": "for=192.168.1.7"}, {"X-Real-IP": "10.0.0.1"}):
            assert await status(bound, method, path, {**EVIL, **more}) == 403
    async with bound.session.get("/api/tags", headers=EVIL) as answer:
        assert "server.names" in (await answer.json())["error"]
    assert bound.log.count("refused Host") == 1  # not one for each
    async with bound.session.get("/api/tags", headers={"Host": "localhost:11434"}) as answer:
        assert [model["name"] for model in (await answer.json())["models"]]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": "[::1]:99"},
        {"X-Forwarded-For": "nonsense"},
        {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=8.8.8.8"},
        {"Forwarded": 'for="[::ffff:127.0.0.1]:80"'},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 squid"},
    ],
)
async def test_no_client_of_a_proxy_is_this_machine(folder: Path, headers: dict[str, str]):
    async with configured(folder, {**TRUSTED, "management": "loopback"}) as service:
        for method, path in MANAGING:
            assert await status(service, method, path, headers) == 403
        assert await status(service, "DELETE", "/api/delete", {}) == 400  # this machine is heard


async def test_where_everyone_needs_a_key_nobody_does_without(folder: Path):
    keys = {scope: make_key(scope, scope, "2026-11-21") for scope in ("use", "manage")}
    write_keys(folder / "keys", [key for key, _ in keys.values()])
    bearer = {scope: {"Authorization": f"Bearer {secret}"} for scope, (_, secret) in keys.items()}
    async with configured(folder, {"keys": "everyone"}) as service:
        for method, path in (*MANAGING, *USING):
            for proxied in ({}, LAN):
                assert await status(service, method, path, proxied) == 401
        assert await status(service, "GET", "/api/tags", bearer["use"]) == 200
        assert await status(service, "DELETE", "/api/delete", bearer["use"]) == 403
        assert await status(service, "DELETE", "/api/delete", bearer["manage"]) == 400
        listed = await asyncio.to_thread(command, service, "list", keys["use"][1])
        assert "tinychat" in listed.stdout
        refused = await asyncio.to_thread(command, service, "list", "")
        assert "needs an API key" in refused.stderr


def command(service: LiveService, verb: str, key: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "VLLAMA_HOST": service.url, "VLLAMA_API_KEY": key, "HOME": str(service.folder)}
    argv = [sys.executable, "-m", "vllama", verb]
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


async def generate(client: Client, model: str, keep_alive: Any, headers: dict[str, str]) -> tuple[int, str]:
    """Load a model, or unload it; status and what the service granted."""
    body = {"model": model, "keep_alive": keep_alive}
    async with client.session.post("/api/generate", json=body, headers=headers) as answer:
        await answer.read()
        return answer.status, answer.headers.get("X-Vllama-Keep-Alive", "")


async def stays(client: Client) -> dict[str, int]:
    """For each loaded model the hours until it is unloaded, in whole numbers; -1: for ever."""
    _, ps = await client.get("/api/ps")
    now = datetime.now(UTC)
    hours = {m["name"]: (datetime.fromisoformat(m["expires_at"]) - now).total_seconds() / 3600 for m in ps["models"]}
    return {name.partition(":")[0]: -1 if left > 1e5 else round(left) for name, left in hours.items()}


async def test_what_the_administrator_keeps_no_client_unloads_and_none_keeps_a_model_for_ever(folder: Path):
    service = configured(folder, TRUSTED, keep_alive_max="2h", preload=["tinychat"], keep_alive="8h")
    async with service:
        copied = {"source": "tinychat", "destination": "alias"}
        assert (await service.post("/api/copy", copied))[0] == 200
        for name in ("tinychat", "alias"):
            assert (await generate(service, name, 0, LAN))[0] == 403
        assert await generate(service, "tinychat", -1, LAN) == (200, "unchanged")
        assert await generate(service, "tinychat", "1s", LAN) == (200, "unchanged")
        assert (await stays(service))["tinychat"] == 8

        assert await generate(service, "other", -1, LAN) == (200, "7200s")
        assert (await stays(service))["other"] == 2
        assert await generate(service, "other", "1h", LAN) == (200, "")
        assert (await stays(service))["other"] == 1
        assert (await generate(service, "other", 0, LAN))[0] == 200

        assert await generate(service, "tinychat", -1, {}) == (200, "")
        assert (await stays(service))["tinychat"] == -1
        assert (await generate(service, "tinychat", 0, {}))[0] == 200


async def test_a_model_named_on_the_command_line_stays(folder: Path):
    service = configured(folder, TRUSTED)
    service = LiveService(folder, service.config, "other")
    async with service:
        assert (await generate(service, "other", 0, LAN))[0] == 403
        assert (await generate(service, "other", "1m", LAN)) == (200, "unchanged")
        assert (await stays(service))["other"] == -1
        status, answer = await refused_unload(service)
        assert (status, "configuration keeps it" in answer["error"]) == (403, True)


async def refused_unload(client: Client) -> tuple[int, Any]:
    async with client.session.post("/api/chat", json={"model": "other", "keep_alive": 0}, headers=LAN) as answer:
        return answer.status, await answer.json()

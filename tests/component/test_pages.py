"""What the pages for administrators promise and other tests don't see: Open WebUI's container, an HTTP proxy."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from tests.fakes.hub import COMMIT, Hub, running
from tests.fakes.model_dir import TINYCHAT
from tests.live import LiveService
from vllama.cli import backup, restore
from vllama.config.keys import make_key, write_keys

CONTAINER = {"Host": "host.containers.internal:11434", "X-Forwarded-For": "10.89.0.7"}
"""A request from a container with a network of its own. (A trusted proxy stands for the network.)"""


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy that takes every name for 127.0.0.1, and the addresses that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            place = urlsplit(self.path)
            onward = http.client.HTTPConnection("127.0.0.1", place.port or 80, timeout=20)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            onward.request(self.command, f"{place.path}?{place.query}", headers=headers)
            answer = onward.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            onward.close()

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def ask(live: LiveService, method: str, path: str, key: str = "", **body: Any) -> tuple[int, str]:
    headers = CONTAINER | ({"Authorization": f"Bearer {key}"} if key else {})
    async with live.session.request(method, path, json=body or None, headers=headers) as answer:
        return answer.status, await answer.text()


async def names(live: LiveService) -> set[str]:
    _, answer = await live.get("/api/tags")
    return {model["name"] for model in answer["models"]}


async def test_a_restored_machine_serves_its_models_after_the_pull_that_restore_prints(
    service: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, saved = str(service.folder / "vllama.yaml"), str(tmp_path / "saved.tar")
    service.config["server"] = {"port": 0, "keys_file": str(service.folder / "keys")}
    hub = Hub("acme/mini", {file.name: file.read_bytes() for file in TINYCHAT.iterdir()}, revisions=("v1",))
    with running(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        async with service as live:
            assert (await live.post("/api/pull", {"model": "acme/mini@v1"}))[1][-1] == {"status": "success"}
            made = await live.post("/api/create", {"model": "pirate", "from": "acme/mini:v1", "system": "Arr."})
            assert made[1][-1] == {"status": "success"}
            before = await names(live)
            assert CliRunner().invoke(backup.command, [saved, "--config", config]).exit_code == 0
        for folder in ("models", "manifests"):
            shutil.rmtree(service.folder / "state" / folder)
        printed = CliRunner().invoke(restore.command, [saved, "--config", config]).output
        assert f"  vllama pull acme/mini@{COMMIT}\n" in printed
        async with service as live:
            assert "pirate:latest" not in await names(live)
            assert (await live.post("/api/pull", {"model": f"acme/mini@{COMMIT}"}))[1][-1] == {"status": "success"}
            assert await names(live) == before | {f"acme/mini:{COMMIT}"}
            async with live.session.delete("/api/delete", json={"model": f"acme/mini:{COMMIT}"}) as answer:
                assert answer.status == 200
            assert await names(live) == before
            _, shown = await live.post("/api/show", {"model": "pirate"})
            assert shown["system"] == "Arr."


async def test_open_webui_in_a_container_may_chat_and_with_a_key_manage(service: LiveService) -> None:
    key, secret = make_key("open-webui", "manage", "2026-11-30")
    write_keys(service.folder / "keys", [key])
    service.config["server"] = {
        "port": 0,
        "trusted_proxies": ["127.0.0.1"],
        "keys_file": str(service.folder / "keys"),
    }
    async with service as live:
        assert (await ask(live, "GET", "/api/tags"))[0] == 200
        status, text = await ask(live, "DELETE", "/api/delete", model="nosuch")
        assert (status, "403" in text or "manage" in text) == (403, True)
        status, text = await ask(live, "DELETE", "/api/delete", secret, model="nosuch")
        assert (status, "not found" in text) == (404, True)


async def test_a_pull_goes_through_the_services_http_proxy(
    service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub("acme/mini", {file.name: file.read_bytes() for file in TINYCHAT.iterdir()})
    with running(hub), proxy() as (address, asked):
        port = urlsplit(hub.url).port
        hub.url = f"http://hub.example:{port}"  # a name that only the proxy can reach
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, address)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "localhost,127.0.0.1")
        async with service as live, live.session.post("/api/pull", json={"model": "acme/mini"}) as answer:
            lines = [json.loads(line) async for line in answer.content]
        assert lines[-1] == {"status": "success"}, lines
    assert any(one.startswith(hub.url) and one.endswith("model.safetensors") for one in asked)

"""What the service sends to systemd from its start to its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from tests.client import Client
from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService

WITHIN = 30.0


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)

    async def until(self, *words: str) -> list[str]:
        """The messages up to the one that is or begins with any of ``words``."""
        found: list[str] = []
        async with asyncio.timeout(WITHIN):
            while not found or not found[-1].startswith(words):
                data = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
                found.append(data.decode())
        return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(folder: Path) -> Iterator[Systemd]:
    systemd = Systemd(folder)
    yield systemd
    systemd.close()


@pytest.fixture
async def up(folder: Path, systemd: Systemd) -> AsyncIterator[LiveService]:
    engine = {"python": str(interpreter.write(folder)), "spare": False, "stall_timeout": "100s"}
    models = {"first": {"source": str(scripted(folder, "first")), "settings": {"kv_cache_memory": "64MiB"}}}
    service = LiveService(folder, {"engine": engine, "models": models, "preload": ["first"]})
    service.wrapper = ("env", f"NOTIFY_SOCKET={systemd.path}")
    async with service:
        yield service


async def test_a_start_says_what_it_loads_asks_for_time_and_is_ready_with_the_model(up: LiveService, systemd: Systemd):
    messages = await systemd.until("READY=1")
    assert messages[:2] == ["FDSTOREREMOVE=1\nFDNAME=http", "FDSTORE=1\nFDNAME=http"]
    assert any(message.startswith("STATUS=loading first: ") for message in messages)
    assert f"EXTEND_TIMEOUT_USEC={160_000_000}" in messages
    assert messages[-2] == "STATUS=serving 1 model: first"


async def test_an_invalid_configuration_leads_the_status_until_a_valid_one_is_read(up: LiveService, systemd: Systemd):
    await systemd.until("READY=1")
    file = up.folder / "vllama.yaml"
    valid = file.read_text()
    file.write_text("nonsense: 1\n")
    up.send(signal.SIGHUP)
    messages = await systemd.until("READY=1")
    assert messages[0].startswith("RELOADING=1\nMONOTONIC_USEC=")
    (status,) = (message for message in messages if message.startswith("STATUS="))
    assert status.startswith("STATUS=the changed configuration is invalid and not in use")
    assert status.endswith("; serving 1 model: first")
    file.write_text(valid)
    up.send(signal.SIGHUP)
    assert "STATUS=serving 1 model: first" in await systemd.until("READY=1")


async def test_a_new_port_is_where_it_listens_and_what_systemd_keeps(up: LiveService, systemd: Systemd):
    await systemd.until("READY=1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = up.folder / "vllama.yaml"
    config = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**config, "server": {"port": port}}))
    up.send(signal.SIGHUP)
    assert "FDSTORE=1\nFDNAME=http" in await systemd.until("READY=1")
    async with Client(f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/api/version"))[0] == 200
    assert (up.runtime / "vllama.lock").read_text().split()[1] == str(port)


async def test_the_end_is_announced_and_shows_what_is_unloaded(up: LiveService, systemd: Systemd):
    await systemd.until("READY=1")
    up.send(signal.SIGTERM)
    messages = await systemd.until("STATUS=ready, no model loaded")
    assert messages[0] == "STOPPING=1"
    assert messages[1].startswith("EXTEND_TIMEOUT_USEC=")
    assert "STATUS=unloading first" in messages
    assert await up.wait(20) == 0

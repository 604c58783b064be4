"""The disk fills up in the middle of a pull or an upload: a real, small file system that only the service sees."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hub import Hub, running
from tests.fakes.model_dir import TINYCHAT
from tests.live import LiveService

NAME = "acme/mini"
WEIGHTS = "model.safetensors"
SIZE = 100 << 20
FULL = "no space left on device"


class SmallDisk:
    """What the service has for its models, seen through its own mount namespace."""

    def __init__(self, service: LiveService) -> None:
        self.place = Path(f"/proc/{service.pid}/root{service.folder}/state")

    def fill(self) -> None:
        """Leave no room."""
        with (self.place / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))

    def free(self) -> None:
        """Make room again."""
        (self.place / "ballast").unlink()

    def files(self) -> set[str]:
        """Names of everything that is there."""
        return {path.name for path in self.place.rglob("*")}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(Hub(NAME, {file.name: file.read_bytes() for file in TINYCHAT.iterdir()})) as found:
        yield found


@pytest.fixture
async def live(hub: Hub, service: LiveService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveService]:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    state = service.folder / "state"
    state.mkdir()
    private = ("--mount",) if os.geteuid() == 0 else ("--map-root-user", "--mount")
    mount = f'mount -t tmpfs -o size={SIZE} tmpfs "$0" && exec "$@"'
    service.wrapper = ("unshare", *private, "sh", "-c", mount, str(state))
    async with service:
        yield service


@pytest.fixture
def disk(live: LiveService) -> SmallDisk:
    return SmallDisk(live)


async def names(live: LiveService) -> set[str]:
    _, answer = await live.get("/api/tags")
    return {model["name"] for model in answer["models"]}


async def pull(live: LiveService) -> list[dict[str, Any]]:
    status, lines = await live.post("/api/pull", {"model": NAME})
    assert status == 200
    return lines


async def test_a_disk_that_fills_up_in_mid_pull_is_reported_and_the_pull_goes_on_when_there_is_room(
    live: LiveService, hub: Hub, disk: SmallDisk
):
    hub.held[WEIGHTS] = 1_000_000
    going = asyncio.create_task(pull(live))
    await asyncio.to_thread(hub.holding.wait, 30)
    disk.fill()
    hub.release.set()
    assert FULL in (await going)[-1]["error"]
    assert f"{NAME}:latest" not in await names(live)
    (status, answer) = await live.post("/api/show", {"model": NAME})
    assert status == 404, answer
    disk.free()
    assert (await pull(live))[-1] == {"status": "success"}
    assert hub.ranges[-1][1] > 0, "what was fetched is kept"
    assert (await live.chat("count to 3", model=NAME, stream=False))[1]["message"]["content"] == "1, 2, 3"


async def test_a_pull_that_can_not_fit_is_refused_before_it_begins(live: LiveService, hub: Hub, disk: SmallDisk):
    disk.fill()
    assert "GB free" in (await pull(live))[-1]["error"]
    assert hub.served == []
    assert f"{NAME}:latest" not in await names(live)


async def test_on_a_full_disk_nothing_half_made_is_left(live: LiveService, disk: SmallDisk):
    before = disk.files()
    disk.fill()
    data = bytes(1 << 20)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    async with live.session.post(f"/api/blobs/{digest}", data=data) as answer:
        assert answer.status == 500
        assert FULL in json.loads(await answer.read())["error"]
    body = {"model": "pirate", "from": "tinychat", "system": "Say Arr. " * 10_000}
    status, lines = await live.post("/api/create", body)
    assert FULL in (lines if status != 200 else lines[-1])["error"]
    assert "pirate:latest" not in await names(live)
    disk.free()
    assert disk.files() - before <= {"blobs", "manifests", "models"}
    assert (await live.post("/api/create", body))[1][-1] == {"status": "success"}

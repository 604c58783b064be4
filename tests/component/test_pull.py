"""The whole service and a hub on localhost: a model is pulled, through interruptions, asked, copied and deleted."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError

from tests.fakes.hub import Hub, running
from tests.fakes.model_dir import TINYCHAT
from tests.live import LiveService

NAME = "acme/mini"
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(Hub(NAME, {file.name: file.read_bytes() for file in TINYCHAT.iterdir()})) as found:
        yield found


@pytest.fixture
async def live(hub: Hub, service: LiveService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveService]:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    async with service:
        yield service


async def names(live: LiveService) -> list[str]:
    _, answer = await live.get("/api/tags")
    return [model["name"] for model in answer["models"]]


async def pull(live: LiveService, begun: asyncio.Event | None = None) -> list[dict[str, Any]]:
    """All lines of a pull; ``begun`` is set when a part of the weights is on the disk."""
    lines: list[dict[str, Any]] = []
    async with live.session.post("/api/pull", json={"model": NAME}) as answer:
        assert answer.status == 200
        async for raw in answer.content:
            lines.append(line := json.loads(raw))
            if begun is not None and 0 < line.get("completed", 0) < line["total"] > 1 << 20:
                begun.set()
    return lines


async def half(live: LiveService) -> asyncio.Task[list[dict[str, Any]]]:
    """A pull that is held in the middle of the weights."""
    begun = asyncio.Event()
    going = asyncio.create_task(pull(live, begun))
    async with asyncio.timeout(30):
        await begun.wait()
    return going


async def test_of_a_names_repositories_one_is_fetched_that_is_there_and_fits(
    hub: Hub, service: LiveService, monkeypatch: pytest.MonkeyPatch
):
    """16 bits are not on the hub; 4 bits are asked for their files' headers first and planned with."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    catalog = service.folder / "models.d"
    catalog.mkdir()
    (catalog / "own.yaml").write_text("choosy: {tags: {latest: {bf16: acme/gone, int4: acme/mini}}}\n")
    service.config["paths"] = {
        "catalog": str(catalog),
        **{key: str(service.folder / key) for key in ("state", "cache")},
        "runtime": str(service.runtime),
    }
    service.config["log"] = {"level": "debug"}  # at a terminal people read the progress instead
    async with service as live:
        assert (await live.post("/api/pull", {"model": "choosy"}))[1][-1] == {"status": "success"}
        assert "choosy:latest" in await names(live)
        assert "acme/gone is not considered" in live.log
        assert "choosy:latest is acme/mini (4 bits)" in live.log


async def test_a_pulled_model_is_listed_asked_copied_and_deleted(live: LiveService, hub: Hub):
    lines = await pull(live)
    assert (lines[0], lines[-1]) == ({"status": "pulling manifest"}, {"status": "success"})
    weights = [line for line in lines if line.get("digest") == f"sha256:{hub.blob(WEIGHTS)}"]
    assert weights[-1]["completed"] == weights[-1]["total"] == len(hub.files[WEIGHTS])
    assert f"{NAME}:latest" in await names(live)
    status, answer = await live.chat("hello", model=NAME, stream=False)
    assert (status, answer["done"]) == (200, True)
    assert (await live.post("/api/copy", {"source": NAME, "destination": "twin"}))[0] == 200
    async with live.session.delete("/api/delete", json={"model": NAME}) as answer:
        assert answer.status == 200
    assert "twin:latest" in await names(live)
    assert (await live.chat("hello", model=NAME, stream=False))[0] == 404
    assert (await live.chat("hello", model="twin", stream=False))[0] == 200


async def test_a_model_is_not_listed_before_it_is_whole_and_survives_a_killed_service(live: LiveService, hub: Hub):
    hub.held[WEIGHTS] = 1_000_000
    going = await half(live)
    assert f"{NAME}:latest" not in await names(live)
    family = live.family()
    live.send(signal.SIGKILL)
    with pytest.raises(ClientError):
        await going
    await live.wait(10)
    for child in family:
        await asyncio.to_thread(child.wait, 10)  # the fetching child leaves when its service has gone
    hub.release.set()
    hub.ranges.clear()
    await live.close()
    await live.__aenter__()
    assert f"{NAME}:latest" not in await names(live)
    assert (await pull(live))[-1] == {"status": "success"}
    assert next(first for name, first in hub.ranges if name == WEIGHTS) > 0
    assert f"{NAME}:latest" in await names(live)


async def test_a_client_that_leaves_stops_the_pull_unless_another_waits_for_it(live: LiveService, hub: Hub):
    hub.held[WEIGHTS] = 1_000_000
    first, second = await half(live), await half(live)
    first.cancel()
    await asyncio.wait({first})
    hub.release.set()
    assert (await second)[-1] == {"status": "success"}
    assert hub.served.count(WEIGHTS) == 1


async def test_the_last_client_that_leaves_stops_the_pull(live: LiveService, hub: Hub):
    hub.held[WEIGHTS] = 1_000_000
    alone = await half(live)
    (child,) = live.family()
    alone.cancel()
    await asyncio.wait({alone})
    await asyncio.to_thread(child.wait, 20)


async def test_two_services_do_not_share_a_store(live: LiveService, tmp_path: Path):
    paths = {"state": str(live.folder / "state"), "cache": str(tmp_path / "cache"), "runtime": str(tmp_path / "run")}
    other = LiveService(tmp_path, {**live.config, "paths": paths})
    with pytest.raises(AssertionError, match=rf"another vllama \(pid {live.pid}, port \d+\) is already running"):
        await asyncio.to_thread(other.start)


async def test_a_branch_with_slashes_is_pulled_and_served_under_either_name(hub: Hub, live: LiveService):
    hub.revisions = ("refs/pr/3",)
    async with live.session.post("/api/pull", json={"model": "acme/mini@refs/pr/3", "stream": False}) as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "success"})
    assert "acme/mini:refs-pr-3" in await names(live)
    for name in ("acme/mini@refs/pr/3", "acme/mini:refs-pr-3"):
        status, answer = await live.post("/api/show", {"model": name})
        assert status == 200, answer
        assert answer["modelfile"].splitlines()[4] == "FROM acme/mini:refs-pr-3"
    status, answer = await live.post(
        "/api/create", {"model": "kind", "from": "acme/mini@refs/pr/3", "system": "Be kind."}
    )
    assert status == 200, answer


async def test_what_can_not_be_served_is_refused_before_its_weights_are_fetched(hub: Hub, live: LiveService):
    config = {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"}
    hub.files = {**hub.files, "config.json": json.dumps(config).encode()}
    async with live.session.post("/api/pull", json={"model": NAME, "stream": False}) as answer:
        assert answer.status == 500
        assert "transcribes speech" in (await answer.json())["error"]
    assert WEIGHTS not in hub.served
    assert not [name for name in await names(live) if name.startswith(NAME)]


async def test_a_configured_repository_is_served_as_soon_as_it_was_pulled(
    hub: Hub, service: LiveService, monkeypatch: pytest.MonkeyPatch
):
    """The README's way: configure a repository, pull it once, use it by the configured name."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    service.config["models"] = {"mine": {"source": NAME}}
    async with service as live:
        assert await names(live) == []
        assert (await pull(live))[-1] == {"status": "success"}
        assert sorted(await names(live)) == [f"{NAME}:latest", "mine:latest"]

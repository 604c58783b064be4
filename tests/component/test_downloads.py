"""Downloads as child processes: shared, left, gone on with. The child is the real one, the hub is on localhost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from tests.fakes.hub import COMMIT, Hub, running
from tests.unit.models.model_files import make_model, safetensors
from vllama.download.transfer import Downloads
from vllama.errors import PullFailed
from vllama.models.arrival import Part
from vllama.models.snapshots import find_snapshot, repository_home
from vllama.models.sources import Source

MINI = Source("hub", "acme/mini")
WEIGHTS = "model.safetensors"


def fetches() -> list[psutil.Process]:
    """Children of the test that fetch; a service that other tests share may be a child too."""
    return [child for child in psutil.Process().children() if "vllama.download.child" in child.cmdline()]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    weights = safetensors({"w": ("F32", (1 << 18,))})
    source = make_model(tmp_path / "remote", model__safetensors=weights)
    with running(Hub("acme/mini", {file.name: file.read_bytes() for file in source.iterdir()})) as found:
        yield found


@pytest.fixture
async def downloads(hub: Hub, tmp_path: Path) -> AsyncIterator[Downloads]:
    made = Downloads(tmp_path, {**os.environ, "HF_ENDPOINT": hub.url})
    yield made
    await made.close()
    assert fetches() == []


async def end_of(downloads: Downloads, parts: list[Part] | None = None, begun: asyncio.Event | None = None) -> str:
    """Follow to the end; ``begun`` is set when a part of the weights is on the disk."""
    commit = ""
    async with aclosing(downloads.follow(MINI)) as reported:
        async for one in reported:
            if isinstance(one, str):
                commit = one
                continue
            if parts is not None:
                parts += one
            if begun is not None and any(0 < part.completed < part.total > 1 << 20 for part in one):
                begun.set()
    return commit


async def half(downloads: Downloads) -> asyncio.Task[str]:
    """A follower of a download that is held in the middle of the weights."""
    begun = asyncio.Event()
    follower = asyncio.create_task(end_of(downloads, begun=begun))
    async with asyncio.timeout(30):
        await begun.wait()
    return follower


async def test_every_part_is_reported_from_nothing_to_all(hub: Hub, downloads: Downloads):
    parts: list[Part] = []
    assert await end_of(downloads, parts) == COMMIT
    last = {part.digest: part for part in parts}
    assert last[hub.blob(WEIGHTS)].total == len(hub.files[WEIGHTS])
    small = sum(len(data) for name, data in hub.files.items() if name != WEIGHTS)
    assert {part.total for part in last.values()} == {len(hub.files[WEIGHTS]), small}
    for digest, part in last.items():
        completed = [one.completed for one in parts if one.digest == digest]
        assert completed == sorted(set(completed))
        assert completed[-1] == part.total


async def test_two_share_one_download_and_it_goes_on_when_one_leaves(hub: Hub, downloads: Downloads):
    hub.held[WEIGHTS] = 500_000
    first, second = await half(downloads), asyncio.create_task(end_of(downloads))
    await asyncio.sleep(0)  # the second has joined
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    hub.release.set()
    assert await second == COMMIT
    assert hub.served.count(WEIGHTS) == 1


async def test_the_last_to_leave_ends_it_and_the_next_goes_on(hub: Hub, downloads: Downloads, tmp_path: Path):
    hub.held[WEIGHTS] = 500_000
    alone = await half(downloads)
    (child,) = fetches()
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone
    assert not child.is_running()
    assert find_snapshot(tmp_path, "acme/mini") is None
    part = repository_home(tmp_path, "acme/mini") / "blobs" / f"{hub.blob(WEIGHTS)}.incomplete"
    kept = part.stat().st_size  # a small file may have been on its way, too
    assert 0 < kept <= 500_000
    hub.release.set()
    assert await end_of(downloads) == COMMIT
    assert (WEIGHTS, kept) in hub.ranges


async def test_a_child_that_is_killed_is_reported_and_the_next_goes_on(hub: Hub, downloads: Downloads):
    hub.held[WEIGHTS] = 500_000
    first = await half(downloads)
    (child,) = fetches()
    child.send_signal(signal.SIGKILL)
    with pytest.raises(PullFailed, match="failed"):
        await first
    hub.release.set()
    assert await end_of(downloads) == COMMIT
    # a small file may have been on its way, too, and is then the last
    assert any(name == WEIGHTS and begun > 0 for name, begun in hub.ranges)


async def test_what_the_hub_refuses_is_reported_to_all(hub: Hub, downloads: Downloads):
    hub.refusal = (404, "RepoNotFound")
    for error in await asyncio.gather(end_of(downloads), end_of(downloads), return_exceptions=True):
        assert isinstance(error, PullFailed)
        assert "there is no repository acme/mini" in error.message
        assert error.error_code == "pull_unknown"
        assert error.hint


async def test_closing_ends_what_goes_on(hub: Hub, downloads: Downloads):
    hub.held[WEIGHTS] = 500_000
    going = await half(downloads)
    await downloads.close()
    with pytest.raises(PullFailed, match="was stopped"):
        await going


async def test_the_child_has_the_token_and_nobody_sees_it_there(hub: Hub, tmp_path: Path):
    """Engines run as the same user: they may not find it in the child's environment, nor on its command line."""
    hub.token, hub.held[WEIGHTS] = "s3cret", 500_000
    downloads = Downloads(tmp_path, {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token})
    follower = await half(downloads)
    (child,) = fetches()
    assert "s3cret" not in f"{child.environ()} {child.cmdline()}"
    hub.release.set()
    assert await follower == COMMIT
    assert hub.leaked == []
    await downloads.close()


async def test_offline_mode_is_reported_as_what_it_is(hub, tmp_path):
    downloads = Downloads(tmp_path, {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "1"})
    with pytest.raises(PullFailed, match="offline mode") as caught:
        await end_of(downloads)
    assert "HF_HUB_OFFLINE" in caught.value.hint

"""A disk that is full while an engine starts fails that start, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tests.hostile.storm import disk_of, on_a_small_disk
from tests.live import LiveService
from tests.processes import until_gone

WITHIN = 10.0
"""Seconds after which the cause must have reached the client."""


async def test_a_full_disk_is_reported_to_the_client_and_forgotten_when_there_is_room(service: LiveService):
    on_a_small_disk(service, 1 << 20)
    async with service as up:
        ballast = disk_of(up) / "ballast"
        fill(ballast)
        for model in ("tinychat", "other", "tinychat"):
            status, answer = await up.chat("hello", model=model, stream=False)
            assert status == 500
            assert "no space left on device" in answer["error"].lower()
            assert str(service.folder) not in answer["error"]
        assert (await up.get("/vllama/engines"))[1]["engines"] == []
        await until_gone([process.pid for process in up.family()], WITHIN)
        ballast.unlink()
        for model in ("tinychat", "other"):
            assert (await up.chat("hello", model=model))[0] == 200


def fill(ballast: Path) -> None:
    """To the last byte."""
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))

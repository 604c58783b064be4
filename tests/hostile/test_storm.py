"""After a storm of everything at once the service is as it was: nothing in flight, nothing held, every model loads."""

from __future__ import annotations

import os

import pytest

from tests.fakes.model_dir import scripted
from tests.hostile.footprint import Footprint, until_descriptors
from tests.hostile.storm import MODELS, SPOILT, Storm, on_a_small_disk, well_again
from tests.live import LiveService

SECONDS = float(os.environ.get("STORM_SECONDS", "30"))
WARMING_UP = 5.0
"""Seconds of storm after which memory and descriptors are what they are in use."""
DISK = 8 << 20
TROUBLES = ("honest 200", "left", "half a body", "slow", "killed", "reloaded", "full disk", "spoilt", "managed")
MORE_MEMORY = 64 << 20
MORE_DESCRIPTORS = 16


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
async def test_a_storm_leaves_nothing_behind(service: LiveService):
    service.config["models"][SPOILT] = {"source": str(scripted_copy(service))}
    service.config["engine"] |= {"breaker_crashes": 1_000_000, "restart_backoff_max": "500ms"}
    service.config["server"] = {"port": 0, "stall_timeout": "1s", "head_timeout": "2s", "idle_timeout": "5s"}
    on_a_small_disk(service, DISK)
    async with service:
        storm = Storm(service, seed=1)
        await well_again(service, (*MODELS, SPOILT))
        await storm.rage(WARMING_UP)
        await well_again(service, (*MODELS, SPOILT))
        before = Footprint.of(service)
        await storm.rage(SECONDS)
        await well_again(service, (*MODELS, SPOILT))
        await until_descriptors(service, before.descriptors + MORE_DESCRIPTORS, within=30)
        after = Footprint.of(service)
        assert after.memory < before.memory + MORE_MEMORY
        assert after.threads <= before.threads + 8
        assert {*TROUBLES} <= {*storm.seen}
        assert storm.seen["asked again"] <= 0.02 * sum(storm.seen.values())
        assert "was never retrieved" not in service.log


def scripted_copy(service: LiveService) -> object:
    """A model whose config.json may be written over."""
    made = scripted(service.folder, SPOILT)
    config = made / "config.json"
    data = config.read_bytes()
    config.unlink()
    config.write_bytes(data)
    return made

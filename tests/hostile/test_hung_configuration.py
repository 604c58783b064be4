"""A configuration that can't be read to its end holds up neither the service nor its end."""

from __future__ import annotations

import os
import signal

from tests.live import LiveService


async def test_a_reload_that_waits_for_its_file_is_given_up_and_the_service_stops(service: LiveService):
    async with service:
        file = service.folder / "vllama.yaml"
        file.unlink()
        os.mkfifo(file)
        service.send(signal.SIGHUP)
        status, _ = await service.post("/api/generate", {"model": "tinychat"})
        assert status == 200
        service.send(signal.SIGTERM)
        assert await service.wait(40) == 0
    assert "not reloaded, the old configuration stays in effect" in service.log

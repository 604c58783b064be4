"""Nobody's request keeps the service from answering everybody else, and no answer repeats what was sent at length."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any

import pytest

from tests.client import Client
from tests.hostile.attacks import ROUTES, bodies, encoded
from tests.hostile.heartbeat import Heartbeat
from tests.live import LiveService

SILENCE = 0.5
"""Seconds for which the service may be silent under attack."""
ANSWERED = 60.0
"""Seconds within which an attack is answered, whatever it is."""
AT_ONCE = 3
STRIDE = 7
"""Of all attacks each so many-th is tried; another number tries others."""
LONGEST_ERROR = 4_000
"""Bytes of an error: 200 characters of what was sent, escaped, and our own words."""


async def attack(client: Client, path: str, body: Mapping[str, Any]) -> tuple[int, int]:
    """Status and length of the answer."""
    data = io.BytesIO(encoded(body))
    async with asyncio.timeout(ANSWERED), client.session.post(path, data=data) as answer:
        return answer.status, len(await answer.read())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", ROUTES)
async def test_no_value_of_any_field_silences_the_service(up: Client, heart: Heartbeat, path: str):
    chosen = list(bodies(path))[::STRIDE]
    slow, long = [], []
    for begin in range(0, len(chosen), AT_ONCE):
        some = chosen[begin : begin + AT_ONCE]
        await heart.longest()
        answers = await asyncio.gather(*(attack(up, path, body) for _, body in some))
        reported = zip(some, answers, strict=True)
        long += [what for (what, _), (status, size) in reported if status >= 400 and size > LONGEST_ERROR]
        if await heart.longest() > SILENCE:
            slow += some
    found = {}
    for what, body in slow:
        silence = await heart.silence_of(lambda body=body: attack(up, path, body), enough=SILENCE)
        if silence > SILENCE:
            found[what] = round(silence, 2)
    assert not found
    assert not long


async def test_a_template_without_an_end_is_ended_and_others_are_rendered_meanwhile(up: Client, heart: Heartbeat):
    endless = {"model": "tinychat", "prompt": "hi", "template": "{{range 1000000000}}{{end}}", "stream": False}
    plain = {"model": "tinychat", "prompt": "count to 3", "template": "{{ .Prompt }}", "stream": False}
    await heart.longest()
    attacks = [asyncio.create_task(up.post("/api/generate", endless)) for _ in range(6)]
    status, answer = await up.post("/api/generate", plain)
    assert (status, answer["response"]) == (200, "1, 2, 3")
    assert {status for status, _ in await asyncio.gather(*attacks)} == {500}
    assert await heart.longest() < SILENCE


async def test_sigterm_ends_the_service_while_it_is_attacked(service: LiveService):
    endless = {"model": "tinychat", "prompt": "hi", "template": "{{range 1000000000}}{{end}}", "stream": False}
    async with service as up:
        await up.chat("hi")
        attacks = [asyncio.create_task(up.post("/api/generate", endless)) for _ in range(9)]
        await asyncio.sleep(0)
        stopped = asyncio.create_task(asyncio.to_thread(service.stop))
        async with asyncio.timeout(15):
            assert await stopped == 0
        await asyncio.gather(*attacks, return_exceptions=True)

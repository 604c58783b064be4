"""Nobody's request keeps the service from answering everybody else."""

from __future__ import annotations

from tests.client import Client
from tests.hostile.heartbeat import Heartbeat

SILENCE = 0.5
"""Seconds for which the service may be silent under attack."""
TEXT = "[" * 8_000


async def test_a_schema_with_a_pattern_that_is_not_closed_silences_nobody(up: Client, heart: Heartbeat):
    async def attack() -> None:
        await up.chat("hi", format={"type": "string", "pattern": TEXT})

    assert await heart.silence_of(attack, enough=SILENCE) < SILENCE

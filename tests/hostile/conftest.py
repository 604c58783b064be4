"""Fixtures of the hostile ring: the whole service in a process of its own, on fake engines, and what watches it.

A test says in one sentence what nobody can do to the service, and holds it to one bound. ``service`` and ``shared``
are the component ring's: real front end, real supervisor, fake vLLM. ``heart`` asks the service all the while whether
it still answers; ``footprint`` says what it holds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.client import Client
from tests.component.conftest import folder, service, shared, up
from tests.hostile.heartbeat import Heartbeat
from tests.live import LiveService

__all__ = ["folder", "heart", "service", "shared", "up"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A heartbeat measures silences of half a second, which another test's processes cause too."""
    for item in items:
        if "heart" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.alone)


@pytest.fixture
async def heart(shared: LiveService, up: Client) -> AsyncIterator[Heartbeat]:
    """A heartbeat of ``shared``; for another service enter ``Heartbeat(url)`` once it is up."""
    async with Heartbeat(shared.url) as beating:
        yield beating

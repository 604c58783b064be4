"""Asks a fake engine about its state and changes its script while it runs, over its own socket."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp


class EngineControl:
    """The fake engine that listens on ``socket``."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    async def state(self) -> dict[str, Any]:
        """``pid, children, hung, running, waiting, finished, generation_tokens, seen`` (bodies of late requests)."""
        async with self._session() as session, session.get("/fake/state") as answer:
            state: dict[str, Any] = await answer.json()
            return state

    async def script(self, **changes: Any) -> None:
        """Change its behaviour (fields of ``script.Script``); wakes it when it hung."""
        async with self._session() as session, session.post("/fake/script", json=changes) as answer:
            assert answer.status == 200, await answer.text()

    async def reset(self) -> None:
        """Behave as at the start."""
        async with self._session() as session, session.post("/fake/reset") as answer:
            assert answer.status == 200, await answer.text()

    async def until(self, *, within: float = 5.0, **wanted: Any) -> None:
        """Wait until the named entries of ``state`` have these values."""
        deadline = time.monotonic() + within
        while True:
            state = await self.state()
            if all(state[name] == value for name, value in wanted.items()):
                return
            assert time.monotonic() < deadline, f"wanted {wanted} within {within} s, is {state}"
            await asyncio.sleep(0.02)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession("http://engine", connector=aiohttp.UnixConnector(str(self.socket)))

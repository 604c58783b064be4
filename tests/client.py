"""A client of the service for tests: asks, decodes, reads metrics."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any, Self

import aiohttp
import orjson


class Client:
    """``async with Client(url) as client``; usable in the event loop that entered it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(total=900))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close our connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Connections to the service."""
        assert self._session is not None
        return self._session

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and decoded answer: a value, or the list of an NDJSON stream."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.session.post(path, data=data, headers={"Content-Type": "application/json"}) as answer:
            text = await answer.read()
            if answer.content_type == "application/x-ndjson":
                return answer.status, [orjson.loads(line) for line in text.splitlines()]
            return answer.status, orjson.loads(text) if text else None

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and decoded answer (text when it is no JSON)."""
        async with self.session.get(path) as answer:
            text = await answer.read()
            return answer.status, orjson.loads(text) if answer.content_type == "application/json" else text.decode()

    async def chat(self, text: str, *, model: str = "tinychat", **more: Any) -> tuple[int, Any]:
        """One greedy question, without thinking unless ``think`` says so."""
        options = {"temperature": 0, **more.pop("options", {})}
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages, "think": False, "options": options, **more}
        return await self.post("/api/chat", body)

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name and labels in ``/metrics``."""
        _, text = await self.get("/metrics")
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in text.splitlines() if re.match(rf"{re.escape(name)}[{{ ]", line)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(want in line for want in wanted))

    async def until_metric(self, name: str, value: float, *, within: float = 10.0, **labels: str) -> None:
        """Wait until the metric has this value."""
        deadline = time.monotonic() + within
        while (seen := await self.metric(name, **labels)) != value:
            assert time.monotonic() < deadline, f"{name}{labels} is {seen}, wanted {value} within {within} s"
            await asyncio.sleep(0.05)


def text_of(lines: list[dict[str, Any]]) -> str:
    """The content of a streamed chat."""
    return "".join(line["message"]["content"] for line in lines if "message" in line)

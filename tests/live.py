"""The real service as a child process of a test: configured, started, asked, ended; nothing of it is mocked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
import psutil
import yaml

ROOT = Path(__file__).parents[1]
_LISTENING = re.compile(r"listens on \S*?:(\d+)\b")
_UP_WITHIN = 30.0


class LiveService:
    """``async with LiveService(folder, config) as service``: up and listening on ``service.url``.

    ``config`` is the YAML as a value; port and directories are filled in, so that several can run side by side.
    """

    def __init__(self, folder: Path, config: dict[str, Any], *models: str, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.config = config
        self.log_file = folder / "service.log"
        self.runtime = folder / "run"
        self.url = ""
        self._models = models
        self._env = env or {}
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    # --- life

    async def start(self) -> None:
        """Spawn it and wait for the port."""
        paths = {"state": self.folder / "state", "cache": self.folder / "cache", "runtime": self.runtime}
        config = {"server": {"port": 0}, "paths": {name: str(path) for name, path in paths.items()}, **self.config}
        file = self.folder / "vllama.yaml"
        file.write_text(yaml.safe_dump(config))
        with self.log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "vllama", "serve", "--config", str(file), *self._models),
                cwd=ROOT,
                env={**os.environ, **self._env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _UP_WITHIN
        while not (found := _LISTENING.search(self.log)):
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise AssertionError(f"the service did not start:\n{self.log}")
            await asyncio.sleep(0.02)
        self.url = f"http://127.0.0.1:{found[1]}"
        self._session = aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(total=120))

    async def stop(self) -> int:
        """SIGTERM, wait, exit status; SIGKILL for it and its engines when it does not leave."""
        if self._session is not None:
            await self._session.close()
        assert self._process is not None
        family = self.family()
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self._process.wait(), 60)
        except TimeoutError:
            self._process.kill()
            raise AssertionError(f"the service did not stop:\n{self.log}") from None
        finally:
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def send(self, number: signal.Signals) -> None:
        """A signal for the service."""
        assert self._process is not None
        self._process.send_signal(number)

    async def wait(self, within: float) -> int:
        """Its exit status, once it has left by itself."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), within)

    # --- looking at it

    @property
    def pid(self) -> int:
        """Of the service itself."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All it said so far."""
        return self.log_file.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """All processes below the service: engines, their EngineCores and workers."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def engine_processes(self, title: str) -> list[psutil.Process]:
        """Those named ``VLLM::`` and ``title`` (``EngineCore``, ``Worker``); ``""``: the API servers."""
        if title:
            return [p for p in self.family() if p.name().startswith(f"VLLM::{title}"[:15])]
        return psutil.Process(self.pid).children()

    # --- asking it

    @property
    def session(self) -> aiohttp.ClientSession:
        """Connections to it."""
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
        """One greedy question without thinking."""
        options = {"temperature": 0, **more.pop("options", {})}
        messages = [{"role": "user", "content": text}]
        return await self.post(
            "/api/chat", {"model": model, "messages": messages, "think": False, "options": options, **more}
        )

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
            assert time.monotonic() < deadline, f"{name} is {seen}, wanted {value} within {within} s"
            await asyncio.sleep(0.05)


def text_of(lines: list[dict[str, Any]]) -> str:
    """The content of a streamed chat."""
    return "".join(line["message"]["content"] for line in lines if "message" in line)

"""Everything at once that clients, files, disks and engines can do to a service, for as long as one likes.

Each trouble is a loop of its own with a random generator of its own, so that a seed says what is done, though not when.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import yaml

from tests.client import Client
from tests.hostile.raw import Raw, request
from tests.live import LiveService

MODELS = ("tinychat", "other")
"""Configured, and whole all the time."""
SPOILT = "spoilt"
"""Configured, with files that are broken and mended again and again."""
_ANSWERED_WITHIN = 60.0
_GARBAGE = (b"", b"{", b"[[1]]", b"\0\xff\xfe", b'{"architectures": [[]], "layer_types": [[1]], "hidden_size": "x"}')


class Storm:
    """``await Storm(service, seed).rage(seconds)``; afterwards everything that it holds is let go."""

    def __init__(self, service: LiveService, seed: int) -> None:
        self._service = service
        self._seed = seed
        self._over = asyncio.Event()
        self.seen: Counter[str] = Counter()
        """What was done, and how honest requests ended: ``chat 200``, ``killed`` ..."""
        self._config = service.folder / "vllama.yaml"
        self._spoilt = service.folder / SPOILT / "config.json"
        self._whole = self._spoilt.read_bytes()

    async def rage(self, seconds: float) -> None:
        """All troubles for so long; raises what no trouble may cause."""
        self._over.clear()
        self._good = yaml.safe_load(self._config.read_text())
        troubles = (self._honest, self._leaves, self._sends_half, self._reads_slowly, self._reloads, self._kills)
        troubles += (self._fills_the_disk, self._spoils, self._manages)
        async with asyncio.TaskGroup() as group:
            for number, trouble in enumerate(troubles * 2):
                group.create_task(self._again_and_again(trouble, random.Random(self._seed * 100 + number)))
            await asyncio.sleep(seconds)
            self._over.set()
        self._free_the_disk()
        self._spoilt.write_bytes(self._whole)
        self._configure(yaml.safe_dump(self._good))
        self._service.send(signal.SIGHUP)

    async def _again_and_again(self, trouble: Callable[[random.Random], Awaitable[None]], dice: random.Random) -> None:
        while not self._over.is_set():
            await trouble(dice)
            await self._pause(dice.uniform(0.0, 0.3))

    async def _pause(self, seconds: float) -> None:
        """Ends early with the storm."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    # ------------------------------------------------------------------------------------------------ clients

    async def _honest(self, dice: random.Random) -> None:
        """Asks and reads. It may be refused, but it is answered in time, and never by half without an error."""
        path, stream = dice.choice(("/api/chat", "/v1/chat/completions", "/v1/messages")), dice.random() < 0.5
        body = {"model": dice.choice(MODELS), "stream": stream, "max_tokens": 50, "options": {"num_predict": 50}}
        body["messages"] = [{"role": "user", "content": f"count to {dice.randint(1, 15)}"}]
        status, text = await self._asked(path, body, {200, 500, 503})
        self.seen[f"honest {status}"] += 1
        ends = ('"done":true', '"done": true', "[DONE]", "message_stop", "finish_reason", "stop_reason", "error")
        assert any(end in text for end in ends), f"half an answer: {text[-300:]}"

    async def _leaves(self, dice: random.Random) -> None:
        """Closes its connection in the middle of whatever comes."""
        async with Raw(self._service.url) as raw:
            await raw.ask("/api/chat", _chat(dice.choice(MODELS), "count to 900"))
            for _ in range(dice.randint(0, 5)):
                with suppress(TimeoutError):
                    await raw.read(within=dice.uniform(0.0, 0.2))
        self.seen["left"] += 1

    async def _sends_half(self, dice: random.Random) -> None:
        """Announces a body and sends a part of it."""
        length = dice.choice((100, 100_000, 30_000_000))
        part = bytes(dice.randint(1, min(length - 1, 1 << 20)))
        async with Raw(self._service.url) as raw:
            with suppress(ConnectionError):
                await asyncio.wait_for(raw.send(request("/api/chat", part, length=length)), 10)
            await self._pause(dice.uniform(0.0, 2.0))
        self.seen["half a body"] += 1

    async def _reads_slowly(self, dice: random.Random) -> None:
        """Asks for much and takes nothing until the service has enough of it."""
        async with Raw(self._service.url) as raw:
            await raw.ask("/api/chat", _chat(dice.choice(MODELS), "count to 900"))
            await self._pause(dice.uniform(0.5, 4.0))
        self.seen["slow"] += 1

    # ----------------------------------------------------------------------------------- engines, files, disks

    async def _kills(self, dice: random.Random) -> None:
        """SIGKILL, or SIGSTOP for a while, for any process of any engine."""
        await self._pause(dice.uniform(0.5, 2.0))
        with suppress(psutil.NoSuchProcess, IndexError):
            victim = dice.choice(self._service.family())
            if dice.random() < 0.7:
                victim.kill()
                self.seen["killed"] += 1
            else:
                victim.suspend()
                try:
                    await self._pause(dice.uniform(0.1, 1.5))
                finally:
                    victim.resume()
                self.seen["stopped"] += 1

    async def _reloads(self, dice: random.Random) -> None:
        """Another configuration, a wrong one now and then."""
        good = yaml.safe_dump(self._good | {"keep_alive": f"{dice.randint(60, 600)}s"})
        self._configure(good if dice.random() < 0.8 else "keep_alive: [nonsense\n")
        self._service.send(signal.SIGHUP)
        await self._pause(dice.uniform(0.2, 1.0))
        self._configure(good)
        self.seen["reloaded"] += 1

    def _configure(self, text: str) -> None:
        """Whole or not at all: an empty file is a right configuration, with another port and no models."""
        new = self._config.with_suffix(".new")
        new.write_text(text)
        new.replace(self._config)

    async def _fills_the_disk(self, dice: random.Random) -> None:
        await self._pause(dice.uniform(1.0, 3.0))
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        await self._pause(dice.uniform(0.1, 0.7))
        self._free_the_disk()
        self.seen["full disk"] += 1

    @property
    def _ballast(self) -> Path:
        return disk_of(self._service) / "ballast"

    def _free_the_disk(self) -> None:
        self._ballast.unlink(missing_ok=True)

    async def _spoils(self, dice: random.Random) -> None:
        """Breaks a configured model's files and the manifest of a stored one, and mends the former."""
        self._spoilt.write_bytes(dice.choice((*_GARBAGE, self._whole)))
        with suppress(OSError):
            (disk_of(self._service) / "state" / "manifests" / "x-latest-0123456789abcdef.json").write_bytes(
                dice.choice(_GARBAGE)
            )
        await self._asked("/api/show", {"model": SPOILT}, {200, 404, 500})
        self.seen["spoilt"] += 1

    async def _manages(self, dice: random.Random) -> None:
        """Creates, copies and deletes models, with good and bad templates."""
        name = f"made-{dice.randint(1, 4)}"
        template = dice.choice(("", "{{ .Prompt }}", '{% for m in messages %}{{ m["x"] }}{% endfor %}', "{{ if }}"))
        body = {"model": name, "from": dice.choice((*MODELS, SPOILT)), "template": template, "stream": False}
        await self._asked("/api/create", body, {200, 400, 404, 500})
        await self._asked("/api/copy", {"source": name, "destination": f"{name}-too"}, {200, 404, 500})
        await self._asked("/api/delete", {"model": name}, {200, 404, 500}, method="DELETE")
        self.seen["managed"] += 1

    async def _asked(self, path: str, body: object, allowed: set[int], *, method: str = "POST") -> tuple[int, str]:
        """Status and text of an answer, which comes in time; a connection that breaks before it is tried once more."""
        try:
            return await self._asked_once(path, body, allowed, method)
        except aiohttp.ClientConnectionError:
            self.seen["asked again"] += 1
            return await self._asked_once(path, body, allowed, method)

    async def _asked_once(self, path: str, body: object, allowed: set[int], method: str) -> tuple[int, str]:
        async with (
            asyncio.timeout(_ANSWERED_WITHIN),
            aiohttp.ClientSession(self._service.url) as session,
            session.request(method, path, json=body) as answer,
        ):
            text = await answer.text()
        assert answer.status in allowed, f"{path}: {answer.status} {text}"
        return answer.status, text


def disk_of(service: LiveService) -> Path:
    """The small disk, as this side of the service's mount namespace reaches it."""
    return Path(f"/proc/{service.pid}/root{service.folder}/disk")


def on_a_small_disk(service: LiveService, size: int) -> None:
    """The service's models and sockets shall lie on a file system of that many bytes, which only it sees."""
    disk = service.folder / "disk"
    disk.mkdir()
    private = ("--mount",) if os.geteuid() == 0 else ("--map-root-user", "--mount")
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    service.wrapper = ("unshare", *private, "sh", "-c", script, str(disk))
    service.config["paths"] = {
        "state": str(disk / "state"),
        "cache": str(service.folder / "cache"),
        "runtime": str(disk / "run"),
    }


async def well_again(service: LiveService, models: tuple[str, ...], *, within: float = 60.0) -> None:
    """Every model is loaded and answers, and nothing is held that nobody uses."""
    async with asyncio.timeout(within):
        for name in models:
            while (answer := await _asked_alone(service, name))[0] != 200:
                await asyncio.sleep(0.1)  # its last crash has a pause of its own
            assert answer[1]["message"]["content"] == "1, 2, 3", json.dumps(answer)
    async with Client(service.url) as client:
        await client.until_metric("vllama_requests_in_flight", 1)  # the question itself
        await client.until_metric("vllama_engine_leases", 0)
        await client.until_metric("vllama_requests_waiting", 0)


async def _asked_alone(service: LiveService, model: str) -> tuple[int, Any]:
    """On a connection of its own: a reload closes idle ones."""
    async with Client(service.url) as client:
        return await client.chat("count to 3", model=model, stream=False)


def _chat(model: str, text: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}

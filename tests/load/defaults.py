"""``python -m tests.load.defaults``: out of the box against ``vllm serve`` out of the box, turn by turn.

Beside each other run vLLama with a model of 0.2 billion random bf16 parameters and ``vllm serve`` with the same
files and its own defaults (but for the memory of its KV cache: the default takes nearly all of the machine's). Asked
are ``vllm serve``, vLLama, and the engine of vLLama directly; ``--variant NAME=JSON`` adds an engine of ours with
other settings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.engine.shapes import make_model
from tests.installed_engine import engine_prefix, installed_engine
from tests.live import LiveService
from tests.load.streams import Dialect, Stream, open_stream
from vllama.engine.command import ENTRY

_MARK = b'"content":"'
_PROMPT = "Tell a long story of number {} about a ship, a lighthouse and the people who lived there, with all details. "
_UP_SECONDS = 600.0
_KV_CACHE = 1 << 30


@dataclass(frozen=True)
class Target:
    """Whom to ask, under which name."""

    name: str
    address: str
    model: str


@dataclass(frozen=True)
class Leg:
    """One target at one number of clients, once."""

    tokens_per_second: float
    first: tuple[float, ...]
    """Seconds to the first token."""


async def leg(target: Target, clients: int, requests: int, tokens: int, seed: int) -> Leg:
    """``clients`` at once, each asking ``requests`` times."""
    began = time.perf_counter()
    runs = await asyncio.gather(*(_client(target, requests, tokens, f"{seed}-{number}") for number in range(clients)))
    seconds = time.perf_counter() - began
    streams = [stream for run in runs for stream in run]
    made = sum(_tokens(stream.ended.result()) for stream in streams)
    return Leg(made / seconds, tuple(stream.begun.result() for stream in streams))


async def _client(target: Target, requests: int, tokens: int, name: str) -> list[Stream]:
    done = []
    for number in range(requests):
        dialect = Dialect(
            target.name,
            "/v1/chat/completions",
            {"ignore_eos": True, "stream_options": {"include_usage": True}},
            _MARK,
        )
        request = dialect.request(target.model, _PROMPT.format(f"{name}-{number}") * 2, tokens)
        stream = await open_stream(target.address, request, _MARK)
        await stream.ended
        stream.transport.close()
        done.append(stream)
    return done


def _tokens(tail: bytes) -> int:
    """What the usage says, which is in the last bytes."""
    lines = [line for line in tail.split(b"\n") if b'"usage":{' in line]
    return int(orjson.loads(lines[-1][lines[-1].index(b"{") :])["usage"]["completion_tokens"])


@asynccontextmanager
async def bare(folder: Path, model: Path, environ: Mapping[str, str]) -> AsyncIterator[Target]:
    """``vllm serve MODEL`` with its own defaults."""
    socket = folder / "bare.sock"
    argv = [str(installed_engine().python), "-m", ENTRY, "--model", str(model), "--served-model-name", "bare"]
    argv += ["--uds", str(socket), "--kv-cache-memory-bytes", str(_KV_CACHE)]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        **environ,
    }
    with (folder / "bare.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*argv, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + _UP_SECONDS
        while not await _answers(socket):
            assert process.returncode is None, (folder / "bare.log").read_text()[-3000:]
            assert time.monotonic() < deadline
            await asyncio.sleep(1)
        yield Target("vllm serve", f"unix:{socket}", "bare")
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)


async def _answers(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


async def main(given: argparse.Namespace, folder: Path) -> None:
    """Start all, ask in turns, tell."""
    model = make_model(folder, "gqa")
    variants: dict[str, dict[str, Any]] = {"ours": {}}
    variants |= {name: json.loads(text) for name, _, text in (one.partition("=") for one in given.variant)}
    models = {
        name: {"source": str(_same(model, folder / name)), "settings": {"kv_cache_memory": _KV_CACHE, **settings}}
        for name, settings in variants.items()
    }
    cache = engine_prefix().parent / "cache"
    config = {
        "engine": {"prefix": str(engine_prefix())},
        "models": models,
        "keep_alive": "-1",
        "paths": {"state": f"{folder}/state", "cache": str(cache), "runtime": f"{folder}/run"},
    }
    (folder / "run").mkdir()
    service = LiveService(folder, config)
    environ = {"VLLM_CACHE_ROOT": str(cache / "vllm"), "TORCHINDUCTOR_CACHE_DIR": str(cache / "torchinductor")}
    async with service, bare(folder, model, environ) as vllm:
        targets = [vllm]
        for name in variants:
            known = {*service.runtime.glob("*.sock")}
            status, answer = await service.post("/api/generate", {"model": name})
            assert status == 200, f"{answer}\n{service.log}"
            (socket,) = {*service.runtime.glob("*.sock")} - known
            targets.append(Target(f"{name}, directly", f"unix:{socket}", f"{name}:latest"))
        targets.append(Target("vLLama", service.url, "ours"))
        await compare(targets, given)


def _same(model: Path, place: Path) -> Path:
    """The same files in a directory of their own: one directory is one engine, whatever names it has."""
    place.mkdir()
    for file in model.iterdir():
        (place / file.name).hardlink_to(file)
    return place


async def compare(targets: Sequence[Target], given: argparse.Namespace) -> None:
    """Rounds of all targets in turns; ratios are medians over the rounds, against the first target."""
    found: dict[tuple[str, int], list[Leg]] = {}
    for target in targets:
        await leg(target, max(given.clients), 1, given.tokens, seed=-1)
    for round_ in range(given.rounds):
        for clients in given.clients:
            for target in targets if round_ % 2 == 0 else reversed(targets):
                requests = max(1, -(-given.least // clients))
                legs = found.setdefault((target.name, clients), [])
                legs.append(await leg(target, clients, requests, given.tokens, seed=round_))
    for clients in given.clients:
        print(f"{clients} clients")
        first = found[targets[0].name, clients]
        own = found["ours, directly", clients]
        for target in targets:
            legs = found[target.name, clients]
            waits = sorted(wait for one in legs for wait in one.first)
            print(
                f"  {target.name:24} {statistics.median(one.tokens_per_second for one in legs):8.1f} tokens/s"
                f"  x {_ratio(legs, first):5.2f} of vllm serve, x {_ratio(legs, own):5.3f} of our engine"
                f"  TTFT p50 {statistics.median(waits) * 1e3:8.1f} ms  x {_waits(legs, own):5.3f}",
                flush=True,
            )


def _ratio(legs: Sequence[Leg], others: Sequence[Leg]) -> float:
    pairs = zip(legs, others, strict=True)
    return statistics.median(one.tokens_per_second / other.tokens_per_second for one, other in pairs)


def _waits(legs: Sequence[Leg], others: Sequence[Leg]) -> float:
    """Of the median waits for the first token."""
    pairs = zip(legs, others, strict=True)
    return statistics.median(statistics.median(one.first) / statistics.median(other.first) for one, other in pairs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=lambda text: [int(part) for part in text.split(",")], default=[1, 5, 10, 50])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--least", type=int, default=4, help="requests of a leg at least")
    parser.add_argument("--variant", action="append", default=[], help='NAME={"enforce_eager": true}')
    with tempfile.TemporaryDirectory(prefix="vl-") as made:
        asyncio.run(main(parser.parse_args(), Path(made)))

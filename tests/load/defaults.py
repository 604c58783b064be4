"""``python -m tests.load.defaults [OPTION OF vllama bench]...``: out of the box beside ``vllm serve`` out of the box.

Beside each other run vLLama with a model of 0.19 billion random bf16 parameters (or ``--model DIR``) and ``vllm serve``
with the same files and its own defaults, but for the size of its KV cache: by default that takes nearly all of the
machine's memory. ``vllama bench`` asks them in turns: vLLama, the engine of that vLLama directly, ``vllm serve``.
``--variant NAME=JSON`` adds an engine of ours with other settings, as they stand under ``models.NAME.settings``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.installed_engine import engine_prefix, installed_engine
from tests.live import ROOT, LiveService
from vllama.engine.command import ENTRY

_RANDOM_MODEL: Final = ROOT / "packaging" / "bench" / "random_model.py"
_UP_SECONDS: Final = 600.0
_KV_CACHE: Final = 1 << 30


@dataclass(frozen=True)
class Target:
    """An engine that is asked directly, and what it calls the model."""

    name: str
    socket: Path
    model: str


async def main(given: argparse.Namespace, options: list[str], folder: Path) -> int:
    """Start all, have them measured; the exit status of ``vllama bench``."""
    files = given.model or await random_model(folder / "random")
    variants: dict[str, dict[str, Any]] = {"ours": {}}
    variants |= {name: json.loads(text) for name, _, text in (one.partition("=") for one in given.variant)}
    models = {
        name: {"source": str(_same(files, folder / name)), "settings": {"kv_cache_memory": _KV_CACHE, **settings}}
        for name, settings in variants.items()
    }
    cache = engine_prefix().parent / "cache"
    config = {
        "engine": {"prefix": str(engine_prefix()), "compile": "always"},
        "models": models,
        "keep_alive": "-1",
        "paths": {"state": f"{folder}/state", "cache": str(cache), "runtime": f"{folder}/run"},
    }
    (folder / "run").mkdir()
    service = LiveService(folder, config)
    environ = {"VLLM_CACHE_ROOT": str(cache / "vllm"), "TORCHINDUCTOR_CACHE_DIR": str(cache / "torchinductor")}
    async with service:
        targets = []
        for name in variants:
            print(f"starting vLLama's engine: {name}", file=sys.stderr, flush=True)
            known = {*service.runtime.glob("*.sock")}
            status, answer = await service.post("/api/generate", {"model": name})
            assert status == 200, f"{answer}\n{service.log}"
            (socket,) = {*service.runtime.glob("*.sock")} - known
            targets.append(Target("engine" if name == "ours" else name, socket, f"{name}:latest"))
        print("starting vllm serve", file=sys.stderr, flush=True)
        async with bare(folder, files, environ) as vllm:
            return await bench(service.url, [*targets, vllm], options)


async def bench(url: str, targets: list[Target], options: list[str]) -> int:
    """``vllama bench`` of the service and, in turns with it, of everything that is asked directly."""
    argv = [sys.executable, "-m", "vllama", "bench", "ours", "--host", url, "--api", "openai", "--name", "vllama"]
    for target in targets:
        argv += ["--vs", f"{target.name}=openai:unix:{target.socket}", "--vs-model", f"{target.name}={target.model}"]
    process = await asyncio.create_subprocess_exec(*argv, "--length", "fixed", *options)
    return await process.wait()


async def random_model(place: Path) -> Path:
    """Its files, made now."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(_RANDOM_MODEL), str(place))
    assert await process.wait() == 0
    return place


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
        yield Target("vllm-serve", socket, "bare")
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


def _same(model: Path, place: Path) -> Path:
    """The same files in a directory of their own: one directory is one engine, whatever names it has."""
    place.mkdir()
    for file in model.iterdir():
        (place / file.name).symlink_to(file.resolve())
    return place


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a directory with a model's files")
    parser.add_argument("--variant", action="append", default=[], help='NAME={"enforce_eager": true}')
    known, others = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="vl-") as made:
        sys.exit(asyncio.run(main(known, others, Path(made))))

"""``python -m tests.load.starting``: from starting a program to its first token, ours and the engine's own in turns.

Ours is ``vllama serve tinychat`` (or ``--model DIR``) until a client that asks as soon as the port is open has its
first token. The engine's own is the very command, with the same environment, that this service started it with. A
first start of each, not counted, fills the caches.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.installed_engine import engine_prefix
from tests.live import LiveService
from tests.load.streams import ENGINE, NATIVE_CHAT, Dialect, open_stream

_UP_SECONDS = 900.0
_LOOK_SECONDS = 0.02


async def ours(folder: Path, config: dict[str, Any], model: str) -> tuple[float, list[str], dict[str, str]]:
    """Seconds to the first token; the engine's command and environment."""
    began = time.perf_counter()
    async with LiveService(folder, config, model) as service:
        await first_token(service.url, NATIVE_CHAT, model)
        took = time.perf_counter() - began
        (engine,) = psutil.Process(service.pid).children()
        return took, engine.cmdline(), engine.environ()


async def alone(argv: list[str], environ: dict[str, str], folder: Path) -> float:
    """Seconds to the first token of this engine on a socket of its own."""
    at = argv.index("--uds") + 1
    name = argv[argv.index("--served-model-name") + 1]
    socket = folder / "alone.sock"
    command = [*argv[:at], str(socket), *argv[at + 1 :]]
    _make_scratch(environ, socket)
    with (folder / "alone.log").open("wb") as log:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=log, stderr=log)
    try:
        await first_token(f"unix:{socket}", ENGINE, name, lambda: process.returncode is None)
        return time.perf_counter() - began
    finally:
        process.terminate()
        await process.wait()


def _make_scratch(environ: Mapping[str, str], socket: Path) -> None:
    """The service has taken away its engine's own."""
    socket.unlink(missing_ok=True)
    for place in ("TMPDIR", "VLLM_RPC_BASE_PATH"):
        Path(environ[place]).mkdir(parents=True, exist_ok=True)


async def first_token(address: str, dialect: Dialect, model: str, lives: Callable[[], bool] = lambda: True) -> None:
    """Ask again until there is one."""
    deadline = time.monotonic() + _UP_SECONDS
    while time.monotonic() < deadline and lives():
        try:
            stream = await open_stream(address, dialect.request(model, "Count to 5", 1), dialect.mark)
        except OSError:
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        await stream.begun
        stream.transport.close()
        return
    raise RuntimeError(f"{address} did not come up")


async def main(given: argparse.Namespace, folder: Path) -> None:
    """The rounds, and the median of their differences."""
    cache = engine_prefix().parent / "cache"
    config = {
        "engine": {"prefix": str(engine_prefix()), "compile": "always"},
        "models": {"measured": {"source": str(given.model) if given.model else "builtin:tinychat"}},
        "paths": {"state": f"{folder}/state", "cache": str(cache), "runtime": f"{folder}/run"},
    }
    (folder / "run").mkdir()
    more = []
    for round_ in range(given.rounds + 1):
        through, argv, environ = await ours(folder, config, "measured")
        direct = await alone(argv, environ, folder)
        what = f"round {round_}" if round_ else "warming up"
        print(f"{what}: vLLama {through:.2f} s, its engine alone {direct:.2f} s, {through - direct:+.2f} s", flush=True)
        if round_:
            more.append(through - direct)
    print(f"median: {statistics.median(more):+.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a directory with a model's files")
    parser.add_argument("--rounds", type=int, default=3)
    with tempfile.TemporaryDirectory(prefix="vl-") as made:
        asyncio.run(main(parser.parse_args(), Path(made)))

"""``python -m tests.stand [fake|real]``: the service and an engine, both in child processes, for measuring.

When both are up it prints one JSON line (``direct``: the engine's socket, ``through``: our URL, ``pid``: the service,
``model``: our name for it), and stays until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fakes import interpreter
from tests.installed_engine import engine_prefix
from tests.live import LiveService


async def main(config: dict[str, Any], folder: Path) -> None:
    """Start, tell, wait."""
    async with LiveService(folder, config, "tinychat") as service:
        status, answer = await service.chat("hello", stream=False)
        assert status == 200, answer
        (socket,) = service.runtime.glob("*.sock")
        reported = {"direct": f"unix:{socket}", "through": service.url, "pid": service.pid, "model": "tinychat"}
        print(json.dumps(reported), flush=True)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin, ended.set)
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        await ended.wait()


def configuration(folder: Path, engine: str, token_rate: float, ttft: float) -> dict[str, Any]:
    """tinychat on a fake engine of this speed, or on the one that `make engine` installed."""
    if engine == "real":
        cache = {"state": f"{folder}/state", "cache": str(engine_prefix().parent / "cache"), "runtime": f"{folder}/run"}
        models = {"tinychat": {"source": "builtin:tinychat"}}
        return {"paths": cache, "engine": {"prefix": str(engine_prefix()), "compile": "always"}, "models": models}
    script = json.dumps({"token_rate": token_rate, "ttft": ttft, "max_num_seqs": 4096, "max_model_len": 100_000})
    models = {"tinychat": {"source": "builtin:tinychat", "settings": {"env": {"FAKE_ENGINE": script}}}}
    return {"engine": {"python": str(interpreter.write(folder))}, "models": models}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=("fake", "real"), nargs="?", default="fake")
    parser.add_argument("--token-rate", type=float, default=100.0, help="tokens a second of each stream; 0: unbounded")
    parser.add_argument("--ttft", type=float, default=0.02, help="seconds to the first token")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vllama-") as made:
        asyncio.run(main(configuration(Path(made), given.engine, given.token_rate, given.ttft), Path(made)))

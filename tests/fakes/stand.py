"""``python -m tests.fakes.stand``: the service on a fake engine, both in child processes, for measuring by hand.

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

from tests.fakes import interpreter
from tests.live import LiveService


async def main(token_rate: float, ttft: float) -> None:
    """Start, tell, wait."""
    with tempfile.TemporaryDirectory(prefix="vllama-") as name:
        folder = Path(name)
        script = json.dumps({"token_rate": token_rate, "ttft": ttft})
        config = {
            "keep_alive": "forever",
            "engine": {"python": str(interpreter.write(folder))},
            "models": {"tinychat": {"source": "builtin:tinychat", "settings": {"env": {"FAKE_ENGINE": script}}}},
        }
        async with LiveService(folder, config, "tinychat") as service:
            status, answer = await service.chat("hello", stream=False)
            assert status == 200, answer
            (socket,) = service.runtime.glob("*.sock")
            told = {"direct": f"unix:{socket}", "through": service.url, "pid": service.pid, "model": "tinychat"}
            print(json.dumps(told), flush=True)
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(sys.stdin, ended.set)
            loop.add_signal_handler(signal.SIGTERM, ended.set)
            await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--token-rate", type=float, default=100.0, help="tokens a second of each stream; 0: unbounded")
    parser.add_argument("--ttft", type=float, default=0.02, help="seconds to the first token")
    given = parser.parse_args()
    asyncio.run(main(given.token_rate, given.ttft))

"""``python -m tests.load.fronts``: the front end and others on the same engine, as their clients see them, in turns.

It measures the engine asked directly, vLLama by two APIs, a bare aiohttp, nginx, and LiteLLM (``--litellm BIN``), which
knows no unix sockets and asks the engine through nginx. All other options are those of ``vllama bench``.
``tests.load.proxies`` measures their CPU time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.load.proxies import ways
from tests.load.stand import started
from tests.load.streams import ENGINE


def main() -> int:
    """The exit status of ``vllama bench``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("fake", "real"), default="fake")
    parser.add_argument("--token-rate", type=float, default=50.0, help="of each stream of the fake engine")
    parser.add_argument("--litellm", default="", help="its command, in an environment of its own")
    given, options = parser.parse_known_args()
    with started(given.token_rate, given.engine) as stand, tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        targets = {"vllama": f"ollama:{stand.through}", "vllama-openai": f"openai:{stand.through}"}
        for way in ways(stand, Path(made), given.litellm, stack):
            if way.dialect is ENGINE and way.name != "bare asyncio":
                targets[way.name.replace(" ", "-")] = f"openai:{way.address}"
        argv = [sys.executable, "-m", "vllama", "bench", stand.model, "--host", stand.direct, "--name", "engine"]
        for name, address in targets.items():
            argv += ["--vs", f"{name}={address}"]
        return subprocess.run([*argv, *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

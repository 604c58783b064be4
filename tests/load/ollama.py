"""``python -m tests.load.ollama [OPTION OF vllama bench]...``: vLLama and llama.cpp's server, measured in one run.

llama.cpp is what computes in Ollama. Its server runs with one slot (*serial*: what Ollama does by default) and with 50
(*batched*: ``OLLAMA_NUM_PARALLEL=50``), on SmolLM2 in Q8_0 and in F16; vLLama has the same weights in bfloat16. All run
at the same time, and ``vllama bench`` asks them in turns. A run without options keeps its samples in docs/benchmarks,
and writes the tables of README.md and docs/performance.md again; others print them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import psutil

from tests.installed_engine import engine_prefix, installed_engine
from tests.live import ROOT, LiveService
from tests.load import ollama_tables
from tests.load.proxies import free_port, running
from tests.smollm2 import PACKAGED, PACKAGES, smollm2_dir

_SERVER: Final = Path(sys.prefix) / "llamacpp"
"""Where `make bench-ollama` puts xllamacpp."""
_SLOTS: Final = {"serial": 1, "batched": 50}
_KINDS: Final = ("Q8_0", "F16")
_CONTEXT: Final = 1024
"""Tokens of a slot; the longest request has 150."""
_WORK: Final = ("--clients", "1,5,10,50", "--rounds", "2", "--requests", "1", "--prompts", "50", "--tokens", "64")
_UP_SECONDS: Final = 120.0
_KEPT: Final = ROOT / "docs" / "benchmarks" / "ollama_cpu.json"


async def main(keep: bool, options: list[str], folder: Path) -> int:
    """Start all, have them measured; the exit status of ``vllama bench``."""
    kept = folder / "kept.json"
    config = {
        "engine": {"prefix": str(engine_prefix()), "compile": "always"},
        "models": {"smollm2": {"source": str(smollm2_dir())}},
        "keep_alive": "-1",
        "paths": {
            "state": f"{folder}/state",
            "cache": str(engine_prefix().parent / "cache"),
            "runtime": f"{folder}/run",
        },
    }
    (folder / "run").mkdir()
    with ExitStack() as stack:
        others = {
            f"{kind}-{way}": stack.enter_context(llamacpp(gguf(kind), slots))
            for kind in _KINDS
            for way, slots in _SLOTS.items()
        }
        async with LiveService(folder, config) as service:
            print("loading SmolLM2 in vLLama", file=sys.stderr, flush=True)
            status, answer = await service.post("/api/generate", {"model": "smollm2"})
            assert status == 200, f"{answer}\n{service.log}"
            # the model's tokens are counted by OpenAI's API, which has a word for answers of one length
            argv = ["smollm2", "--host", service.url, "--api", "openai", "--name", "vLLama", "--length", "fixed"]
            for name, address in others.items():
                argv += ["--vs", f"{name}=openai:{address}"]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "vllama", "bench", *argv, *_WORK, *options, "--json", str(kept))
            )
            status = await process.wait()
    if not kept.exists():
        return status
    data = ollama_tables.shortened(kept.read_bytes())
    if not keep:
        print("\n" + ollama_tables.full(data))
        return status
    _KEPT.write_bytes(data)
    for document, table in (
        (ROOT / "README.md", ollama_tables.short),
        (ROOT / "docs/performance.md", ollama_tables.full),
    ):
        document.write_text(ollama_tables.replaced(document.read_text(), table(data)))
        print(f"written: {name}")
    return status


def gguf(kind: str) -> Path:
    """SmolLM2 in this kind of GGUF, made where it is missing."""
    made = smollm2_dir().with_name(f"smollm2-{kind}.gguf")
    if not made.exists():
        unfinished = made.with_suffix(".unfinished")
        argv = [str(installed_engine().python), str(Path(__file__).with_name("gguf_file.py"))]
        environ = {**os.environ, "PYTHONPATH": str(PACKAGES)}
        subprocess.run([*argv, str(PACKAGED), kind, str(unfinished)], env=environ, check=True)
        unfinished.rename(made)
    return made


@contextmanager
def llamacpp(model: Path, slots: int) -> Iterator[str]:
    """The server's address, as long as the block runs."""
    cores = min(len(os.sched_getaffinity(0)), psutil.cpu_count(logical=False) or 1)
    port = free_port()
    script = Path(__file__).with_name("llamacpp.py")
    argv = [sys.executable, str(script), str(model), *map(str, (port, slots, _CONTEXT, cores))]
    address = f"http://127.0.0.1:{port}"
    with running(["env", f"PYTHONPATH={_SERVER}", *argv], port):
        deadline = time.monotonic() + _UP_SECONDS
        while not _loaded(address):
            assert time.monotonic() < deadline, f"llama.cpp did not load {model}"
            time.sleep(0.2)
        yield address


def _loaded(address: str) -> bool:
    """It listens before it has loaded its model, and answers 503."""
    try:
        with urlopen(f"{address}/health", timeout=5):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="write samples and tables in spite of other options")
    own, given = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves no server and no engine behind
    with tempfile.TemporaryDirectory(prefix="vl-") as temporary:
        sys.exit(asyncio.run(main(own.keep or not given, given, Path(temporary))))

"""``python -m tests.load.proxies``: the front end beside others in front of the same fake engine, all at once.

vLLama translates; nginx, a bare aiohttp and asyncio with nothing on it only pass bytes on; LiteLLM (``--litellm BIN``,
where it is installed) translates, too. All carry equally many streams at the same time, so that a busy machine is
equally busy for all; told is the CPU time of each one's processes for a token event.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.load.stand import Stand, cpu_seconds, started
from tests.load.streams import DIALECTS, ENGINE, Dialect, Stream, open_stream

_PROMPT = "Count to 3000"
_TOKENS = 50_000
_NGINX = """daemon off; user {user}; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
upstream engine {{ server unix:{engine}; keepalive 512; }}
server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ proxy_pass http://engine; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_buffering off; }} }} }}
"""
_LITELLM = """model_list:
  - model_name: {model}
    litellm_params:
      {{model: "openai/{served}", api_base: "http://127.0.0.1:{port}/v1", api_key: none}}
"""


@dataclass(frozen=True, eq=False)
class Way:
    """One way to the engine."""

    name: str
    address: str
    model: str
    dialect: Dialect
    pid: int


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(argv: list[str], port: int) -> Iterator[int]:
    """A server until the block is left; gives its process id once it listens."""
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(1200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                assert process.poll() is None, f"{argv[0]} left with {process.returncode}"
                time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()


def cpu(way: Way) -> float:
    """Seconds of CPU so far, workers included; vLLama's children are its engine."""
    children = [] if way.name.startswith("vLLama") else psutil.Process(way.pid).children(recursive=True)
    return sum(cpu_seconds(pid) for pid in (way.pid, *(child.pid for child in children)))


def ways(stand: Stand, folder: Path, litellm: str, stack: ExitStack) -> list[Way]:
    """All that can be started here."""
    engine = stand.direct.removeprefix("unix:")
    found = [Way(f"vLLama {d.name}", stand.through, stand.model, d, stand.pid) for d in DIALECTS]
    for name, module in (("bare asyncio", "floor"), ("bare aiohttp", "bare")):
        port = free_port()
        pid = stack.enter_context(running([sys.executable, "-m", f"tests.load.{module}", engine, str(port)], port))
        found.append(Way(name, f"http://127.0.0.1:{port}", stand.served_name, ENGINE, pid))
    if nginx := shutil.which("nginx"):
        port = free_port()
        (folder / "nginx.conf").write_text(
            _NGINX.format(user=getpass.getuser(), folder=folder, engine=engine, port=port)
        )
        pid = stack.enter_context(running([nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")], port))
        found.append(Way("nginx", f"http://127.0.0.1:{port}", stand.served_name, ENGINE, pid))
        if litellm:  # it can't ask unix sockets
            upstream, port = port, free_port()
            text = _LITELLM.format(model=stand.model, served=stand.served_name, port=upstream)
            (folder / "litellm.yaml").write_text(text)
            argv = [litellm, "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
            pid = stack.enter_context(running(argv, port))
            found.append(Way("LiteLLM", f"http://127.0.0.1:{port}", stand.model, ENGINE, pid))
    return found


async def measure(found: list[Way], streams: int, seconds: float) -> None:
    """Our dialects one after the other, each together with all the others."""
    others = [way for way in found if not way.name.startswith("vLLama")]
    for own in (way for way in found if way.name.startswith("vLLama")):
        open_ways = {way: await opened(way, streams) for way in (own, *others)}
        await asyncio.sleep(1)
        before = {way: (cpu(way), events(some)) for way, some in open_ways.items()}
        await asyncio.sleep(seconds)
        for way, some in open_ways.items():
            spent, made = cpu(way) - before[way][0], events(some) - before[way][1]
            print(f"{way.name:28} {made / seconds:8,.0f} events/s {spent / made * 1e6:7.1f} us an event", flush=True)
        for some in open_ways.values():
            for stream in some:
                stream.transport.abort()
        await asyncio.sleep(1)


async def opened(way: Way, count: int) -> list[Stream]:
    """So many streams, each with its first token."""
    request = way.dialect.request(way.model, _PROMPT, _TOKENS)
    some = [await open_stream(way.address, request, way.dialect.mark) for _ in range(count)]
    await asyncio.gather(*(stream.begun for stream in some))
    return some


def events(some: list[Stream]) -> int:
    """Seen so far."""
    return sum(stream.events for stream in some)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--token-rate", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--litellm", default="", help="its command, in an environment of its own")
    given = parser.parse_args()
    with started(given.token_rate) as stand, tempfile.TemporaryDirectory() as made, ExitStack() as running_ones:
        asyncio.run(measure(ways(stand, Path(made), given.litellm, running_ones), given.streams, given.seconds))

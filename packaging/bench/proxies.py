"""Holds vLLama's front end against others on the same engine, in turns: an engine asked directly, a bare aiohttp proxy,
nginx and LiteLLM as plain proxies.

``proxies.py [--engine fake|real] [--nginx PROGRAM] [--litellm PROGRAM] [OPTION OF vllama bench]...`` in a checkout.
What is not there is left out. LiteLLM knows no unix sockets, so it asks the engine through nginx.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from vllama import child
from vllama.bench.stand import Stand, started_stand

_UP_WITHIN: Final = 120.0
_NGINX: Final = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream engine {{ server unix:{socket}; keepalive 512; }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 64m;
    location / {{
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }}
  }}
}}
"""


def main() -> int:
    """The exit status of ``vllama bench``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", choices=("fake", "real"), default="fake")
    parser.add_argument("--token-rate", type=float, default=50.0, help="of each stream of the fake engine")
    parser.add_argument("--nginx", default=shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin"))
    parser.add_argument("--litellm", default=shutil.which("litellm"))
    given, options = parser.parse_known_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vllama-bench-")))
        stand = stack.enter_context(started_stand(given.engine, given.token_rate))
        engine = stand.direct.removeprefix("unix:")
        port = free_port()
        stack.enter_context(
            running([sys.executable, str(beside("aiohttp_proxy.py")), engine, str(port)], port, "/health")
        )
        others = {"aiohttp": f"openai:http://127.0.0.1:{port}"}
        if given.nginx:
            port = free_port()
            user = "user root;" if os.geteuid() == 0 else ""  # the engine's socket is its owner's alone
            (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, socket=engine, port=port, user=user))
            stack.enter_context(
                running([given.nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")], port, "/health")
            )
            others["nginx"] = f"openai:http://127.0.0.1:{port}"
            if given.litellm:
                others["litellm"] = f"openai:http://127.0.0.1:{litellm(stack, given.litellm, folder, port)}"
        return bench(stand, others, options)


def bench(stand: Stand, others: dict[str, str], options: list[str]) -> int:
    """Measure them; the engine is what the others are held against."""
    targets = {"vllama": f"ollama:{stand.through}", "vllama-openai": f"openai:{stand.through}", **others}
    argv = [*child.module("vllama"), "bench", stand.model, "--host", stand.direct, "--name", "engine"]
    for name, address in targets.items():
        argv += ["--vs", f"{name}={address}"]
    return subprocess.run([*argv, *options], check=False, **child.start(cwd=Path.cwd())).returncode


def litellm(stack: ExitStack, program: str, folder: Path, nginx: int) -> int:
    """Start it in front of nginx; its port."""
    with urlopen(f"http://127.0.0.1:{nginx}/v1/models") as answer:
        name = json.load(answer)["data"][0]["id"]
    params = {"model": f"openai/{name}", "api_base": f"http://127.0.0.1:{nginx}/v1", "api_key": "none"}
    config = {
        "model_list": [{"model_name": name, "litellm_params": params}],
        "general_settings": {
            "dangerously_permit_weak_or_unset_master_key": True
        },  # it listens on loopback, for minutes
    }
    (folder / "litellm.json").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    argv = [program, "--config", str(folder / "litellm.json"), "--host", "127.0.0.1", "--port", str(port)]
    stack.enter_context(running(argv, port, "/health/liveliness"))
    return port


@contextmanager
def running(argv: list[str], port: int, path: str) -> Iterator[None]:
    """A server that is up until the block ends; what it says goes to stderr only when it does not come up."""
    with tempfile.TemporaryFile() as log, subprocess.Popen(argv, stdout=log, stderr=log, **child.start()) as process:
        try:
            wait(process, f"http://127.0.0.1:{port}{path}")
            yield
        except TimeoutError as error:
            log.seek(0)
            raise SystemExit(f"{error}\n{log.read().decode(errors='replace')}") from error
        finally:
            process.terminate()


def wait(process: subprocess.Popen[bytes], url: str) -> None:
    """Until it answers; TimeoutError when it does not."""
    deadline = time.monotonic() + _UP_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(url, timeout=5).close()  # noqa: S310 - our own address
        except (URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"{' '.join(process.args)} did not come up")


def beside(name: str) -> Path:
    """A file of this folder."""
    return Path(__file__).with_name(name)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())

"""nginx and Caddy as docs/proxy.md sets them up, on free ports of loopback and with a certificate of our own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live import ROOT

NAME = "llm.office.example"
_UP_WITHIN = 20.0


@dataclass(frozen=True)
class Proxy:
    """One that is up."""

    port: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        """What its clients use; ``NAME`` is the name in the certificate."""
        return f"https://127.0.0.1:{self.port}"


def block(language: str) -> str:
    """The first block of that language in docs/proxy.md."""
    text = (ROOT / "docs" / "proxy.md").read_text()
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/proxy.md has no block of {language}"
    return found[1]


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@asynccontextmanager
async def nginx(folder: Path, backend: int) -> AsyncIterator[Proxy]:
    """The page's nginx in front of a port."""
    port, (pem, key) = free_port(), certificate(folder)
    site = _replaced(
        block("nginx"),
        {
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            f"/etc/pki/tls/certs/{NAME}.pem": str(pem),
            f"/etc/pki/tls/private/{NAME}.key": str(key),
            "127.0.0.1:11434": f"127.0.0.1:{backend}",
        },
    )
    own_folder = folder / "nginx"  # which nginx gives to its own user when root starts it
    own_folder.mkdir()
    temporary = "".join(
        f"{kind}_temp_path {own_folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    own = f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}"
    file.write_text(f"{own}\nhttp {{ access_log off; {temporary}\n{site} }}\n")
    async with _running(["nginx", "-p", str(folder), "-e", "stderr", "-c", str(file)], port, pem) as proxy:
        yield proxy


@asynccontextmanager
async def caddy(folder: Path, backend: int) -> AsyncIterator[Proxy]:
    """The page's Caddy in front of a port."""
    port, (pem, key) = free_port(), certificate(folder)
    site = _replaced(
        block("caddy"),
        {
            f"{NAME} {{": f"https://{NAME}:{port} {{\n bind 127.0.0.1\n tls {pem} {key}",
            "127.0.0.1:11434": f"127.0.0.1:{backend}",
        },
    )
    file = folder / "Caddyfile"
    file.write_text(f"{{\n admin off\n auto_https disable_redirects\n storage file_system {folder}/caddy\n}}\n{site}")
    argv = ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]
    async with _running(argv, port, pem, HOME=str(folder)) as proxy:
        yield proxy


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for ``NAME`` and its key."""
    pem, key = folder / "proxy.pem", folder / "proxy.key"
    names = f"subjectAltName=DNS:{NAME},IP:127.0.0.1"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    subprocess.run([*argv, "-addext", names, "-keyout", key, "-out", pem], check=True, capture_output=True)
    return pem, key


def _replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"docs/proxy.md no longer says {old!r}"
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def _running(argv: list[str], port: int, pem: Path, **environ: str) -> AsyncIterator[Proxy]:
    program = shutil.which(argv[0], path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
    assert program, f"missing: {argv[0]} (tests/system/prepare.sh installs it on Debian)"
    env = {"PATH": "/usr/bin:/usr/sbin", **environ}
    log = pem.with_suffix(".log")
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(program, *argv[1:], env=env, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + _UP_WITHIN
        while not await _answers(port):
            assert process.returncode is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            await asyncio.sleep(0.05)
        yield Proxy(port, ssl.create_default_context(cafile=str(pem)))
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


async def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False

"""A hub on localhost: the routes that huggingface_hub uses to list and fetch a repository, and ways to go wrong.

It redirects large files to a second address, as the real one does, and can cut or hold a transfer at any byte.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LFS = (".safetensors", ".bin", ".gguf", ".onnx")


@dataclass
class Hub:
    """One repository; ``refusal`` answers everything about it with a status and the hub's error code."""

    repository: str
    files: Mapping[str, bytes]
    commit: str = COMMIT
    revisions: tuple[str, ...] = ()
    """Further names of the commit, besides ``main``."""
    token: str = ""
    """What a client must show; without it the repository is gated."""
    refusal: tuple[int, str] | None = None
    claimed: Mapping[str, int] = field(default_factory=dict)
    """Sizes to tell instead of the true ones."""
    damaged: set[str] = field(default_factory=set)
    """Files whose first byte arrives as another."""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """Bytes after which the next answers with a file's contents break off; one number an answer."""
    held: dict[str, int] = field(default_factory=dict)
    """Bytes after which a file's contents stop until ``release``."""
    leaked: list[str] = field(default_factory=list)
    """Tokens that arrived at the second address."""
    served: list[str] = field(default_factory=list)
    """Files whose contents were sent."""
    ranges: list[tuple[str, int]] = field(default_factory=list)
    """File and first byte of every answer with contents."""
    release: threading.Event = field(default_factory=threading.Event)
    holding: threading.Event = field(default_factory=threading.Event)
    """Set when a transfer is held."""
    dropped: threading.Event = field(default_factory=threading.Event)
    """Set when a client left in the middle of a file."""
    found: list[dict[str, Any]] = field(default_factory=list)
    """What a search finds."""
    searched: list[str] = field(default_factory=list)
    """Queries of searches."""
    url: str = ""

    def blob(self, name: str) -> str:
        """What the hub calls a file's contents: SHA-256 of large ones, git's hash of small ones."""
        data = self.files[name]
        if name.endswith(_LFS):
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """Serve ``hub`` on a free port."""

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        hub.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Stay quiet."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        hub = self.hub
        commit, repository = hub.commit, re.escape(hub.repository)
        names = "|".join(map(re.escape, ("main", commit, *hub.revisions)))
        if hub.refusal is not None:
            status, code = hub.refusal
            self._send(status, b"{}", {"X-Error-Code": code} if code else {})
        elif found := re.fullmatch(r"/cdn/(.+)", path):
            if token := self.headers.get("Authorization"):
                hub.leaked.append(token)
            self._contents(found[1])
        elif hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._send(403 if "Authorization" in self.headers else 401, b"{}", {"X-Error-Code": "GatedRepo"})
        elif re.fullmatch(f"/api/models/{repository}(/revision/({names}))?", path):
            self._json({"id": hub.repository, "modelId": hub.repository, "sha": commit, "siblings": self._siblings()})
        elif path == "/api/models":
            hub.searched.append(unquote(urlsplit(self.path).query))
            self._json(hub.found)
        elif path.startswith(f"/api/models/{hub.repository}/revision/"):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif found := re.fullmatch(f"/{repository}/resolve/(?:main|{commit})/(.+)", path):
            self._file(found[1])
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _siblings(self) -> list[dict[str, Any]]:
        found = []
        for name, data in self.hub.files.items():
            size = self.hub.claimed.get(name, len(data))
            one: dict[str, Any] = {"rfilename": name, "size": size, "blobId": self.hub.blob(name)[:40]}
            if name.endswith(_LFS):
                one["lfs"] = {"sha256": self.hub.blob(name), "size": size, "pointerSize": 130}
            found.append(one)
        return found

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str) -> None:
        """What ``resolve`` answers: small files at once, large ones by a redirect."""
        if name not in self.hub.files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        elif name.endswith(_LFS):
            linked = {"X-Linked-ETag": f'"{self.hub.blob(name)}"', "X-Linked-Size": str(len(self.hub.files[name]))}
            # another host name than the hub's: a token must not go there
            place = f"{self.hub.url.replace('127.0.0.1', 'localhost')}/cdn/{name}"
            self._send(302, b"", {"X-Repo-Commit": self.hub.commit, "Location": place, **linked})
        else:
            self._contents(name)

    def _contents(self, name: str) -> None:
        hub = self.hub
        data = hub.files[name]
        if name in hub.damaged:
            data = bytes([data[0] ^ 1]) + data[1:]
        headers = {"X-Repo-Commit": hub.commit, "ETag": f'"{hub.blob(name)}"', "Accept-Ranges": "bytes"}
        first = int(found[1]) if (found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        body = data[first:]
        if self.command == "HEAD":
            self._send(200, body, headers)
            return
        hub.served.append(name)
        hub.ranges.append((name, first))
        cuts = hub.cuts.get(name)
        until = cuts.pop(0) if cuts else hub.held.get(name, len(data))
        self.send_response(206 if first else 200)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        try:
            self.wfile.write(body[: max(until - first, 0)])
            if until < len(data) and name in hub.held:
                hub.holding.set()
                self._hold()
                self.wfile.write(body[max(until - first, 0) :])
            elif until < len(data):
                self.close_connection = True
        except OSError:
            self.close_connection = True
            hub.dropped.set()

    def _hold(self) -> None:
        """Wait for the release, or for the client's leave."""
        self.connection.settimeout(0.02)
        while not self.hub.release.is_set():
            try:
                if not self.connection.recv(1):
                    raise ConnectionResetError
            except TimeoutError:
                continue
        self.connection.settimeout(None)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

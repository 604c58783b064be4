"""A network for one lab: the server's network namespace, clients with addresses of their own, a switch between them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Final

SERVER: Final = "10.77.0.1"
CLIENTS: Final = {1: "10.77.0.11", 2: "10.77.0.12"}
PUBLIC: Final = 9
"""This client's address is none of a local network."""
PUBLIC_SERVER: Final = "203.0.113.1"
_PUBLIC_CLIENT: Final = "203.0.113.9"


class Network:
    """``up`` and ``down``; namespaces are named after the lab, so that several can be up at once."""

    def __init__(self, lab: str) -> None:
        self.server = f"{lab}-srv"
        self._switch = f"{lab}-sw"
        self._clients = {number: f"{lab}-c{number}" for number in (*CLIENTS, PUBLIC)}

    def client(self, number: int) -> str:
        """The namespace of a client."""
        return self._clients[number]

    def up(self) -> None:
        """Make all of it."""
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "br0", "up")
        self._plug(0, self.server, SERVER, PUBLIC_SERVER)
        for number, name in self._clients.items():
            self._plug(number, name, CLIENTS.get(number, _PUBLIC_CLIENT))

    def down(self) -> None:
        """Remove what there is of it."""
        for name in self._names():
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def _names(self) -> Iterator[str]:
        yield from (self.server, *self._clients.values(), self._switch)

    def _plug(self, port: int, namespace: str, *addresses: str) -> None:
        _ip("netns", "add", namespace)
        _ip("-n", self._switch, "link", "add", f"p{port}", "type", "veth", "peer", "name", "lan0", "netns", namespace)
        _ip("-n", self._switch, "link", "set", f"p{port}", "master", "br0")
        _ip("-n", self._switch, "link", "set", f"p{port}", "up")
        for link in ("lo", "lan0"):
            _ip("-n", namespace, "link", "set", link, "up")
        for address in addresses:
            _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "lan0")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)

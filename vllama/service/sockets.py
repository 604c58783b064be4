"""The listening sockets: kept by systemd from before a restart, those of an administrator's socket unit, or bound."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from vllama.config.schema import Server
from vllama.http.listener import bind
from vllama.service.notify import Notifier, passed_sockets


class Sockets:
    """Holds them. Only ``rebind`` changes them."""

    def __init__(self, wanted: Server, notifier: Notifier, environ: Mapping[str, str]) -> None:
        """A socket unit decides instead of ``server.host`` where there is one. Raises CannotListen."""
        self._notifier = notifier
        passed = passed_sockets(environ)
        given = [one.socket for one in passed if not one.ours]
        kept = [one.socket for one in passed if one.ours]
        self.own = not given
        """We bound them; false where an administrator's socket unit did."""
        self.all = given
        if given:
            for unused in kept:
                unused.close()
        else:
            self._bind(wanted, kept)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first one."""
        host, port = self.all[0].getsockname()[:2]
        return host, port

    def rebind(self, wanted: Server) -> None:
        """Listen there instead; raises CannotListen, and then all is as before."""
        self._bind(wanted, self.all)

    def _bind(self, wanted: Server, kept: list[socket.socket]) -> None:
        self.all = bind(wanted.host, wanted.port, kept)
        self._notifier.store(self.all)

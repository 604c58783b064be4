"""Binds the port, or says which process has it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import psutil

from vllama.errors import CannotListen

_NO_SUCH_FAMILY: Final = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
_ANOTHER_PORT: Final = "Stop that program, or choose another port: server.port, or in a checkout 'make run PORT=11500'"
BACKLOG: Final = 1024
"""Connections that may wait to be taken: one more is dropped, and its client tries again after a whole second."""


def bind(host: str, port: int, kept: Sequence[socket.socket] = ()) -> list[socket.socket]:
    """Listening sockets for every address of ``host``; raises CannotListen with what to do.

    ``kept`` listen already, for us or for the process before us. Those that fit are used, the others are closed; when
    the new address can't be had, all of them go on listening.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise CannotListen(f"can't listen on {host!r}: {error.strerror}", hint="Correct server.host") from error
    wanted = {(family, address): (kind, proto) for family, kind, proto, _, address in found}
    fitting = {(one.family, one.getsockname()): one for one in kept}
    others = [one for where, one in fitting.items() if where not in wanted]
    for other in others:
        other.shutdown(socket.SHUT_RDWR)  # whoever has a copy: it gives the port free
    sockets: list[socket.socket] = []
    try:
        for (family, address), (kind, proto) in wanted.items():
            try:
                sockets.append(fitting.get((family, address)) or _listen(family, kind, proto, address))
            except OSError as error:
                # "every interface" is those that there are: a kernel may be without IPv6
                if host or error.errno not in _NO_SUCH_FAMILY or len(wanted) == 1:
                    raise
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError as error:
        for made in sockets:
            if made not in kept:
                made.close()
        for other in others:
            other.listen(BACKLOG)
        raise _refusal(host, port, error) from error
    for other in others:
        other.close()
    return sockets


def _listen(family: int, kind: int, proto: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.settimeout(0)
    return listener


def _refusal(host: str, port: int, error: OSError) -> CannotListen:
    where = f"{host or 'every interface'}:{port}"
    if error.errno == errno.EADDRINUSE:
        owner = owner_of_port(port)
        if owner and owner.startswith("ollama"):
            return CannotListen(f"{where} is in use by {owner}", hint="Stop it: sudo systemctl disable --now ollama")
        by = f" by {owner}" if owner else ""
        return CannotListen(f"{where} is in use{by}", hint=_ANOTHER_PORT)
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotListen(f"{where} is not an address of this machine", hint="Correct server.host")
    if error.errno == errno.EACCES:
        return CannotListen(f"this user may not listen on {where}", hint="Choose a server.port above 1023")
    return CannotListen(f"can't listen on {where}: {error.strerror}")


def owner_of_port(port: int) -> str:
    """``name (pid N)`` of the program that listens on a TCP port; empty when it can't be seen."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
                if connection.pid == 1:  # systemd keeps the socket for a service
                    return "a service of systemd"
                with suppress(psutil.Error):
                    return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""

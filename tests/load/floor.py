"""``python -m tests.load.floor SOCKET PORT``: the least that Python can do between a client and an engine.

Each client's connection gets one to the engine, and bytes go from one to the other in the read that brings them.
Nothing is parsed. What this takes for an event is the share of the kernel and the event loop; a front end adds to it.
"""

from __future__ import annotations

import asyncio
import sys

_READ_SIZE = 1 << 16
_BUFFER = memoryview(bytearray(_READ_SIZE))


class Side(asyncio.BufferedProtocol):
    """One of the two connections; what it reads is written to the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand on what came too early."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._early:
            transport.write(self._early)

    def get_buffer(self, sizehint: int) -> memoryview:
        """One for all."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Pass it on."""
        if self.other is not None:
            self.other.write(bytes(_BUFFER[:nbytes]))

    def write(self, data: bytes) -> None:
        """Now, or as soon as there is a connection."""
        if self.transport is None:
            self._early += data
        else:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """One goes with the other."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.abort()


async def main(socket: str, port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    connecting = set()

    def client() -> Side:
        ours, engines = Side(), Side()
        ours.other, engines.other = engines, ours
        task = loop.create_task(loop.create_unix_connection(lambda: engines, socket))
        connecting.add(task)
        task.add_done_callback(connecting.discard)
        return ours

    server = await loop.create_server(client, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

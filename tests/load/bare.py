"""``python -m tests.load.bare SOCKET PORT``: aiohttp passing an engine's bytes on, with nothing read or changed."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web


async def main(socket: str, port: int) -> None:
    """Serve until killed."""
    connector = aiohttp.UnixConnector(socket, limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    session = aiohttp.ClientSession("http://engine", connector=connector, timeout=timeout, auto_decompress=False)

    async def pass_on(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/json"}
        async with session.request(request.method, request.path, data=await request.read(), headers=headers) as answer:
            response = web.StreamResponse(status=answer.status)
            await response.prepare(request)
            async for data in answer.content.iter_any():
                await response.write(data)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

"""The least that a proxy of aiohttp can be: ``aiohttp_proxy.py SOCKET PORT`` passes every byte on as it comes.

It knows nothing of models, limits, errors or APIs: what it costs is what aiohttp costs.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

_ENGINE = web.AppKey("engine", aiohttp.ClientSession)


async def passed_on(request: web.Request) -> web.StreamResponse:
    """One request."""
    body = await request.read()
    headers = {"Content-Type": request.content_type}
    async with request.app[_ENGINE].request(request.method, request.path_qs, data=body, headers=headers) as answer:
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
        await response.prepare(request)
        async for data in answer.content.iter_any():
            await response.write(data)
        await response.write_eof()
        return response


async def engine(app: web.Application) -> AsyncIterator[None]:
    """Connections to the engine while the proxy runs."""
    connector = aiohttp.UnixConnector(sys.argv[1], limit=0)
    async with aiohttp.ClientSession("http://engine", connector=connector, timeout=aiohttp.ClientTimeout()) as session:
        app[_ENGINE] = session
        yield


def main() -> None:
    """Until it is ended."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", passed_on)
    app.cleanup_ctx.append(engine)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None)


if __name__ == "__main__":
    main()

"""Long work told line by line, or by its last line alone (contract 5.9 to 5.11)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from aiohttp import web

from vllama.errors import VllamaError
from vllama.http.faults import message_of
from vllama.translate.jsontext import encode

_STREAM: Final = {"Content-Type": "application/x-ndjson"}
_ONCE: Final = {"Content-Type": "application/json"}


async def answer_progress(
    request: web.Request, lines: AsyncGenerator[Mapping[str, Any]], *, stream: bool | None
) -> web.StreamResponse:
    """Write what ``lines`` yields as it comes; ``stream`` false: only the last.

    An error before the first line has a status of its own, one that follows progress is a line. A client that leaves
    cancels the handler, and that closes ``lines``.
    """
    response = web.StreamResponse(headers=_STREAM)
    last: Mapping[str, Any] = {}
    try:
        async for line in lines:
            last = line
            if stream is not False:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(encode(line) + b"\n")
    except VllamaError as error:
        told = {"error": message_of(error)}
        if not response.prepared:
            return web.Response(status=error.http_status, body=encode(told), headers=_ONCE)
        await response.write(encode(told) + b"\n")
    finally:
        await lines.aclose()
    if stream is False:
        return web.Response(body=encode(last), headers=_ONCE)
    await response.write_eof()
    return response

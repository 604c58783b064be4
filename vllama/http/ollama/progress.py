"""Reports long work line by line, or only its last line."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from vllama.errors import PullFailed, VllamaError
from vllama.http.faults import message_of
from vllama.jsontext import encode
from vllama.models.arrival import Part, Report

_STREAM: Final = {"Content-Type": "application/x-ndjson"}
_ONCE: Final = {"Content-Type": "application/json"}


async def progress_lines(steps: AsyncGenerator[Report]) -> AsyncGenerator[Mapping[str, Any]]:
    """One line a word or part; what fails before the first part is the manifest's fault, as Ollama says it."""
    begun = False
    try:
        async with aclosing(steps):
            async for step in steps:
                if isinstance(step, str):
                    yield {"status": step}
                    continue
                begun = True
                for part in step:
                    yield _line(part)
    except PullFailed as error:
        if begun:
            raise
        unknown = "file does not exist: " if error.error_code == "pull_unknown" else ""
        raise PullFailed(
            f"pull model manifest: {unknown}{error.message}", hint=error.hint, where=error.where
        ) from error


def _line(part: Part) -> dict[str, Any]:
    """Numbers that are zero are left out, as in Go."""
    line: dict[str, Any] = {"status": f"pulling {part.digest[:12]}", "digest": f"sha256:{part.digest}"}
    return line | {key: size for key, size in (("total", part.total), ("completed", part.completed)) if size}


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
        body = {"error": message_of(error)}
        if not response.prepared:
            return web.Response(status=error.http_status, body=encode(body), headers=_ONCE)
        await response.write(encode(body) + b"\n")
    finally:
        await lines.aclose()
    if stream is False:
        return web.Response(body=encode(last), headers=_ONCE)
    await response.write_eof()
    return response

"""The middleware that every request passes, outermost first: paths, measuring, Host and Origin, pages, errors.

Nothing raised below reaches a client as a traceback: our own errors are written in the dialect of the path, everything
else is logged with the request's id and becomes an internal error.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vllama.errors import Cancelled, NoCloud, VllamaError
from vllama.http import pages
from vllama.http.access import HostCheck, Origins, same_origin
from vllama.http.checks import FormatError
from vllama.http.connection import ClientConnection
from vllama.http.faults import INTERNAL, error_response, refusal_response
from vllama.http.front import front_of
from vllama.http.permits import host_of, names_a_host
from vllama.http.unheard import refused
from vllama.http.visit import Visit, begin_visit, known_visit, visit_of
from vllama.observe.journal import REQUEST_ID
from vllama.observe.spent import LEFT
from vllama.observe.trace import read_request_id
from vllama.quoting import excerpt

_log = logging.getLogger(__name__)
_NO_TYPE: Final = "application/octet-stream"
"""What aiohttp puts where we said nothing: none of our answers is that."""


def make_middleware(origins: Origins, hosts: HostCheck, permits: Middleware, *, log_access: bool) -> list[Middleware]:
    """The chain, outermost first."""

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Counts every request and how it ended; ``X-Request-Id`` names it in our log, to the engine and the client."""
        headers = request.headers
        request_id = read_request_id(headers.get("X-Request-Id", "")) or secrets.token_hex(8)
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unknown"
        meter = front_of(request).books.meter(route, request_id)
        meter.task = asyncio.current_task()
        traces = front_of(request).books.traces
        meter.trace = traces.begin(headers.get("traceparent", ""), headers.get("tracestate", ""))
        visit = Visit(request_id, meter)
        begin_visit(request, visit)
        REQUEST_ID.set(request_id)
        status = LEFT
        connection = request.protocol
        if isinstance(connection, ClientConnection):
            connection.begin(request, visit)
        try:
            try:
                response = await handler(request)
            except asyncio.CancelledError:
                if not meter.took_notice() or request.writer.output_size:
                    raise
                response = refusal_response(request.path, Cancelled())
            status = response.status
            return response
        finally:
            meter.end(status)
            if isinstance(connection, ClientConnection):
                connection.end()
            if log_access:
                path = excerpt(request.raw_path)
                _log.info("%s %s %s %s %s", request.remote, request.method, path, status, request_id)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Host and Origin, for known and unknown paths alike."""
        if (cleaned := pages.clean(_path(request))) is not None:
            return pages.redirect(request.method, 307, _with_query(request, cleaned))
        if (bare := await _trailing_slash(request)) is not None:
            return pages.redirect(request.method, 301 if request.method == "GET" else 307, _with_query(request, bare))
        response = await _admitted(request, handler, origins, hosts)
        refused = request.match_info.http_exception
        if isinstance(refused, web.HTTPMethodNotAllowed) and not response.prepared:
            response.headers["Allow"] = pages.allow(refused.allowed_methods)
        return response

    return [measure, guard, _errors, permits]


async def _admitted(request: web.Request, handler: Handler, origins: Origins, hosts: HostCheck) -> web.StreamResponse:
    """The Origin comes before all else, as with Ollama: a page that is allowed may read why it is refused."""
    host = host_of(request)
    origin = request.headers.get("Origin")
    if origin is not None and not same_origin(origin, host):
        if not origins.allow(origin):
            return web.Response(status=403)
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=origins.headers(origin, preflight=True))
        visit_of(request).headers |= origins.headers(origin, preflight=False)
    if request.method == "OPTIONS" and hosts.is_name(host) and hosts.allow(host):
        return web.Response(status=204)
    return await handler(request)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    if pages.spans_segments(_path(request)):
        return pages.not_found()
    try:
        return await handler(request)
    except NoCloud as error:  # Ollama's cloud gate stands before its dialects: native words on every path
        return error_response("/api", error.http_status, error.message)
    except FormatError as error:
        return refusal_response(request.path, error, streamed=error.streamed)
    except VllamaError as error:
        return refusal_response(request.path, error)
    except web.HTTPMethodNotAllowed as error:
        return pages.not_allowed(error.allowed_methods)
    except web.HTTPNotFound:
        return pages.not_found()
    except web.HTTPRequestEntityTooLarge:
        limit = front_of(request).config.server.max_body
        text = f"the request's body is larger than {limit} bytes; raise server.max_body to allow it"
        response = error_response(request.path, 413, text)
        response.force_close()
        return response
    except web.HTTPException as error:
        return refused(request, error)
    except web.RequestPayloadError as error:
        return refused(request, web.HTTPBadRequest(text=f"the request's body can't be read: {error}"))
    except ConnectionError:
        return web.Response(status=LEFT)  # the client has left
    except Exception:
        _log.exception("%s %s failed (%s)", request.method, excerpt(request.raw_path), visit_of(request).request_id)
        if request.writer.output_size:  # too late for a status: cutting the answer is the honest end
            raise
        return error_response(request.path, 500, INTERNAL)


async def finish_headers(request: web.Request, response: web.StreamResponse) -> None:
    """``on_response_prepare``: CORS and the like, the request's id, and no word about our library."""
    visit = known_visit(request)
    if visit is not None:  # an Expect that is not understood is refused before any of this
        response.headers.update(visit.headers)
        response.headers.update(visit.meter.headers)
    if isinstance(response, web.HTTPException):  # raised before any of this: an Expect
        page = refused(request, response)
        response.headers["Content-Type"] = page.headers["Content-Type"]
        response.body = page.body
    response.headers.pop("Server", None)
    if response.headers.get("Content-Type") == _NO_TYPE:
        del response.headers["Content-Type"]


async def _trailing_slash(request: web.Request) -> str | None:
    """The path without its last slash, where only that one is a route for this method."""
    path = _path(request)
    if not path.endswith("/") or path == "/" or not isinstance(request.match_info.http_exception, web.HTTPNotFound):
        return None
    bare = path[:-1]
    found = await request.app.router.resolve(request.clone(rel_url=bare))
    return bare if found.http_exception is None else None


def _path(request: web.Request) -> str:
    """As the client wrote it."""
    return request.rel_url.raw_path if names_a_host(request) else request.raw_path.partition("?")[0]


def _with_query(request: web.Request, path: str) -> str:
    query = request.raw_path.partition("?")[2]
    return f"{path}?{query}" if query else path

"""``/vllama/usage``: what requests used, by key, person, model, day, month or caller.

Who manages the service sees the usage of all, and may delete that of a person. Others see their own.
"""

from __future__ import annotations

import asyncio
import csv
import io
import time
from typing import Any, Final

from aiohttp import web

from vllama.errors import BadRequest
from vllama.http.front import front_of
from vllama.http.plain_json import json_response
from vllama.http.visit import visit_of
from vllama.jsontext import encode
from vllama.observe.usage.moments import read_moment
from vllama.observe.usage.table import GROUPS
from vllama.quoting import excerpt

routes = web.RouteTableDef()
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a cell of a spreadsheet's formula begins with."""
_PART: Final = 500
"""Rows that are encoded at once."""
_NUMBERS: Final = (
    "requests", "failed", "prompt_tokens", "cached_tokens", "generated_tokens", "engine_seconds", "joules", "money",
)  # fmt: skip


@routes.get("/vllama/usage")
async def usage(request: web.Request) -> web.Response:
    """Sums; what was not measured is left out. ``format=csv`` has a row of names first."""
    front, visit, query = front_of(request), visit_of(request), request.query
    book, now = front.lookout.usage, time.time()
    by = [name for name in query.get("by", "model").split(",") if name]
    for name in by:
        if name not in GROUPS:
            raise BadRequest(f"by: {excerpt(name)} is none of {', '.join(GROUPS)}")
    since = _moment("since", query.get("since") or "30d", now)
    until = _moment("until", query["until"], now, end=True) if query.get("until") else now + 1
    form = query.get("format", "json")
    if form not in {"json", "csv"}:
        raise BadRequest(f"format: {excerpt(form)} is neither json nor csv")
    only = None if await visit.may_manage() else visit.caller
    rows = await book.report(by, since, until, only=only)
    if form == "csv":
        headers = {
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": "attachment; filename=usage.csv",
        }
        return web.Response(body=await asyncio.to_thread(_csv, by, rows), headers=headers)
    found = {"since": since, "until": until, "by": by, "lost": book.lost}
    if currency := front.config.prices.currency:
        found["currency"] = currency
    if only is None and book.problem:
        found["problem"] = book.problem
    return json_response(await asyncio.to_thread(_json, found, rows))


@routes.delete("/vllama/usage")
async def forget(request: web.Request) -> web.Response:
    """Delete what is recorded of ``person``."""
    person = request.query.get("person", "")
    if not person:
        raise BadRequest("person is missing: whose usage is to be deleted?")
    return json_response(encode({"deleted": await front_of(request).lookout.usage.forget(person)}))


def _moment(name: str, text: str, now: float, *, end: bool = False) -> float:
    try:
        return read_moment(text, now, end=end)
    except ValueError as error:
        raise BadRequest(f"{name}: {excerpt(text)} {error}") from None


def _json(found: dict[str, Any], rows: list[dict[str, Any]]) -> bytes:
    """In parts: while one is encoded, no other thread runs."""
    parts = (encode(rows[at : at + _PART])[1:-1] for at in range(0, len(rows), _PART))
    return encode(found)[:-1] + b',"rows":[' + b",".join(parts) + b"]}"


def _csv(by: list[str], rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    names = [*by, *(name for name in _NUMBERS if any(name in row for row in rows) or not rows)]
    writer.writerow(names)
    writer.writerows([_cell(row.get(name, "")) for name in names] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    """Harmless for a spreadsheet: names come from clients."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

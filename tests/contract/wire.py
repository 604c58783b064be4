"""Send HTTP requests exactly as a case writes them and take down everything that comes back.

A case is a list of steps. A step is one request, or ``{"parallel": [step, ...]}``. Both the recorder and the
comparator run cases through `run_case`, so that the two sides see the same bytes. Nothing here judges an answer.

The client is written on plain sockets on purpose: an HTTP library would tidy up paths (``//api/tags``), add or
drop headers (Host, Content-Type) and hide how the answer was framed, and these are things we want to see.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

DEFAULT_TAG = "latest"
HIDDEN_HEADERS = {"date"}


# ---------------------------------------------------------------------------------------------- names


def split_tag(name: str) -> tuple[str, str]:
    """'ns/tiny:q4' -> ('ns/tiny', 'q4'); the tag defaults to 'latest'."""
    head, slash, last = name.rpartition("/")
    base, _, tag = last.partition(":")
    return head + slash + base, tag or DEFAULT_TAG


def placeholders(models: dict[str, str], base: str, run: str) -> dict[str, str]:
    """What '{CHAT}', '{PLAIN_FULL}', '{EMBED_UPPER}', '{HOST}', '{RUN}' … stand for in this run."""
    out = {
        "HOST": urlsplit(base).netloc,
        "HOSTNAME": urlsplit(base).hostname or "",
        "PORT": str(urlsplit(base).port or 80),
        "RUN": run,
    }
    for role, name in models.items():
        stem, tag = split_tag(name)
        out |= {
            role: name,
            role + "_BASE": stem,
            role + "_FULL": f"{stem}:{tag}",
            role + "_TAG": tag,
            role + "_UPPER": name.upper(),
        }
    return out


def fill(value: Any, table: dict[str, str], saved: dict[str, Any] | None = None) -> Any:
    """Put the run's names into a step; the string '$x' becomes the value saved as x by an earlier step."""
    if isinstance(value, str):
        if saved and value[:1] == "$" and value[1:] in saved:
            return copy.deepcopy(saved[value[1:]])
        if "{" in value:
            for key, text in table.items():
                value = value.replace("{" + key + "}", text)
        return value
    if isinstance(value, list):
        return [fill(v, table, saved) for v in value]
    if isinstance(value, dict):
        return {fill(k, table): fill(v, table, saved) for k, v in value.items()}
    return value


# ----------------------------------------------------------------------------------------------- HTTP


@dataclass
class Reply:
    """One answer as it came over the wire. `marks` are (milliseconds, total body bytes so far)."""

    status: int = 0
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    marks: list[tuple[float, int]] = field(default_factory=list)
    complete: bool = False  # the framing (chunked end, Content-Length) was finished properly
    framing: str = ""
    cut: bool = False  # we hung up on purpose
    failed: str = ""
    ms: float = 0.0
    at: float = 0.0  # wall clock when the answer ended


class Connection:
    """One TCP connection; kept so that a following step may reuse it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer

    def abort(self) -> None:
        self.writer.transport.abort()


async def connect(base: str) -> Connection:
    url = urlsplit(base)
    return Connection(*await asyncio.open_connection(url.hostname, url.port or 80, limit=2**26))


def request_bytes(step: dict[str, Any], base: str, body: bytes | None) -> bytes:
    """The request head and body. A header given as None is left out altogether."""
    headers: dict[str, str | None] = {"Host": urlsplit(base).netloc, "User-Agent": "golden/1", "Accept": "*/*"}
    if body is not None:
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
    if not step.get("keep"):
        headers["Connection"] = "close"
    for name, value in (step.get("headers") or {}).items():
        for known in [h for h in headers if h.lower() == name.lower()]:
            del headers[known]
        headers[name] = value
    head = f"{step['method']} {step['path']} HTTP/{step.get('http', '1.1')}\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in headers.items() if v is not None)
    return head.encode("utf-8") + b"\r\n" + (body or b"")


async def exchange(conn: Connection, data: bytes, method: str, cut: dict[str, float] | None) -> Reply:
    """Send `data`, read one answer. `cut` hangs up after so many body 'lines' or 'seconds'."""
    reply, started, cut = Reply(), time.monotonic(), cut or {}

    def elapsed() -> float:
        return round((time.monotonic() - started) * 1000, 2)

    def take(chunk: bytes) -> bool:
        reply.body += chunk
        reply.marks.append((elapsed(), len(reply.body)))
        return bool(cut.get("lines")) and reply.body.count(b"\n") >= cut["lines"]

    async def read() -> None:
        r = conn.reader
        while True:
            line = (await r.readuntil(b"\r\n")).decode("latin-1").rstrip("\r\n")
            _, _, rest = line.partition(" ")
            code, _, reply.reason = rest.partition(" ")
            reply.status, reply.headers = int(code), {}
            while line := (await r.readuntil(b"\r\n")).decode("latin-1").rstrip("\r\n"):
                name, _, value = line.partition(":")
                name, value = name.strip().lower(), value.strip()
                reply.headers[name] = f"{reply.headers[name]}, {value}" if name in reply.headers else value
            if reply.status >= 200:
                break
        if method == "HEAD" or reply.status in (204, 304):
            reply.framing, reply.complete = "none", True
        elif "chunked" in reply.headers.get("transfer-encoding", "").lower():
            reply.framing = "chunked"
            while size := int((await r.readuntil(b"\r\n")).split(b";")[0], 16):
                chunk = await r.readexactly(size + 2)
                if take(chunk[:-2]):
                    reply.cut = True
                    return
            while (await r.readuntil(b"\r\n")) != b"\r\n":
                pass  # trailers
            reply.complete = True
        elif "content-length" in reply.headers:
            reply.framing = "length"
            left = int(reply.headers["content-length"])
            while left > 0 and (chunk := await r.read(min(left, 65536))):
                left -= len(chunk)
                if take(chunk):
                    reply.cut = True
                    return
            reply.complete = left == 0
        else:
            reply.framing = "close"
            while chunk := await r.read(65536):
                if take(chunk):
                    reply.cut = True
                    return
            reply.complete = True

    try:
        conn.writer.write(data)
        await conn.writer.drain()
        if "seconds" in cut:
            try:
                await asyncio.wait_for(read(), cut["seconds"])
            except TimeoutError:
                reply.cut = True
        else:
            await read()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError) as e:
        if not reply.status:
            reply.failed = f"no answer: {type(e).__name__}"
    if reply.cut:
        conn.abort()
    reply.ms, reply.at = elapsed(), time.time()
    return reply


# ------------------------------------------------------------------------------------------- bodies


def load_json(text: str) -> Any:
    return json.loads(text, parse_constant=lambda c: f"<{c}>")


def parse_body(reply: Reply) -> dict[str, Any]:
    """The body by its content type, both parsed and raw; lines and events with their time of arrival (ms)."""
    if not reply.body:
        return {"kind": "empty"}
    kind = reply.headers.get("content-type", "").split(";")[0].strip().lower()
    try:
        text = reply.body.decode("utf-8")
    except UnicodeDecodeError:
        if not reply.cut:
            return {"kind": "bytes", "b64": base64.b64encode(reply.body).decode()}
        text = reply.body.decode("utf-8", "replace")

    def arrival(end: int) -> float:
        return next((ms for ms, size in reply.marks if size >= end), reply.ms)

    if kind == "application/x-ndjson":
        raw, events, times, end = text.split("\n"), [], [], 0
        tail = raw.pop()  # "" when the last line was ended properly
        if tail and not reply.cut:
            raw.append(tail)
        for line in raw:
            end += len(line.encode()) + 1
            times.append(arrival(min(end, len(reply.body))))
            try:
                events.append(load_json(line))
            except ValueError:
                events.append({"?unparsed": line})
        return {"kind": "ndjson", "events": events, "lines": raw, "times": times, "ended": tail == ""}
    if kind == "text/event-stream":
        events, end = [], 0
        blocks = text.split("\n\n")
        tail = blocks.pop()
        if tail and not reply.cut:
            blocks.append(tail)
        for block in blocks:
            end += len(block.encode()) + 2
            item: dict[str, Any] = {"event": None, "data": None, "raw": block, "ms": arrival(min(end, len(reply.body)))}
            data = []
            for line in block.split("\n"):
                name, _, value = line.partition(":")
                value = value[1:] if value[:1] == " " else value
                if name == "event":
                    item["event"] = value
                elif name == "data":
                    data.append(value)
                elif line:
                    item.setdefault("other", []).append(line)
            if data:
                joined = "\n".join(data)
                try:
                    item["data"] = load_json(joined)
                except ValueError:
                    item["data"] = joined
            events.append(item)
        return {"kind": "sse", "events": events, "ended": tail == ""}
    if kind.endswith("json"):
        try:
            return {"kind": "json", "json": load_json(text), "raw": text}
        except ValueError:
            pass
    return {"kind": "text", "text": text}


def describe(reply: Reply) -> dict[str, Any]:
    """A reply as it is stored in a golden file."""
    if reply.failed:
        return {"failed": reply.failed, "ms": reply.ms}
    out: dict[str, Any] = {
        "status": reply.status,
        "reason": reply.reason,
        "headers": {k: v for k, v in reply.headers.items() if k not in HIDDEN_HEADERS},
        "framing": reply.framing,
        "complete": reply.complete,
        "ms": reply.ms,
        "at": round(reply.at, 3),
    }
    if reply.marks:
        out["first_ms"] = reply.marks[0][0]
    if reply.cut:
        out["cut"] = True
    return out | {"body": parse_body(reply)}


# -------------------------------------------------------------------------------------------- paths


def dig(value: Any, path: list[Any]) -> Any:
    """Follow keys, indexes and {'name': 'x'} selectors; None when a part is missing."""
    for part in path:
        if isinstance(part, dict):
            value = (
                next((v for v in value if isinstance(v, dict) and all(v.get(k) == w for k, w in part.items())), None)
                if isinstance(value, list)
                else None
            )
        elif isinstance(part, int):
            value = value[part] if isinstance(value, list) and -len(value) <= part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def view(record: dict[str, Any]) -> dict[str, Any]:
    """What the paths in `save`, `poll` and `equal` can reach: status, headers, json, final, events."""
    body = record.get("body") or {}
    events = body.get("events") or []
    last = events[-1] if events else None
    return {
        "status": record.get("status"),
        "headers": record.get("headers"),
        "json": body.get("json"),
        "events": events,
        "final": last["data"] if body.get("kind") == "sse" and last else last,
        "text": body.get("text"),
    }


# ------------------------------------------------------------------------------------------ running


@dataclass
class Run:
    """Everything one run against one server needs."""

    base: str
    table: dict[str, str]
    timeout: float = 180.0


def body_of(step: dict[str, Any]) -> bytes | None:
    if "json" in step:
        return json.dumps(step["json"], ensure_ascii=False).encode()
    if "b64" in step:
        return base64.b64decode(step["b64"])
    if "raw" in step:
        return str(step["raw"]).encode("utf-8", "surrogatepass")
    if "repeat" in step:  # [["head", 1], ["[", 12000], ["tail", 1]]: long bodies without long golden files
        return "".join(text * times for text, times in step["repeat"]).encode()
    return None


async def run_request(step: dict[str, Any], run: Run, saved: dict[str, Any], kept: list[Connection]) -> dict[str, Any]:
    step = fill(step, run.table, saved)
    if step.get("wait"):
        await asyncio.sleep(step["wait"])
    body = body_of(step)
    step["path"] = step["path"].replace("{SHA256}", hashlib.sha256(body or b"").hexdigest())
    poll = step.get("poll")
    started = time.monotonic()
    while True:
        reply = await attempt(step, run, body, kept)
        record = describe(reply)
        if not poll:
            break
        found = dig(view(record), poll["path"]) is not None
        seconds = time.monotonic() - started
        if found == poll["exists"] or seconds > poll.get("for", 20):
            record["polled"] = {"met": found == poll["exists"], "seconds": round(seconds, 2)}
            break
        await asyncio.sleep(poll.get("every", 0.2))
    for name, path in (step.get("save") or {}).items():
        saved[name] = dig(view(record), path)
    return record


async def attempt(step: dict[str, Any], run: Run, body: bytes | None, kept: list[Connection]) -> Reply:
    """One request within the time limit; on a connection kept by the step before when that is asked for."""
    try:
        reused = kept.pop() if step.get("reuse") and kept else None
        conn = reused or await connect(run.base)
    except OSError as e:
        return Reply(failed=f"cannot connect: {e.strerror or type(e).__name__}")
    try:
        reply = await asyncio.wait_for(
            exchange(conn, request_bytes(step, run.base, body), step["method"], step.get("cut")),
            step.get("timeout", run.timeout),
        )
    except TimeoutError:
        conn.abort()
        return Reply(failed="time limit")
    if step.get("keep") and not reply.cut:
        kept.append(conn)
    else:
        conn.writer.close()
    return reply


async def run_case(case: dict[str, Any], run: Run) -> list[Any]:
    """Run all steps; a parallel step gives a list of records plus the order in which they ended."""
    saved: dict[str, Any] = {}
    kept: list[Connection] = []
    records: list[Any] = []
    for step in case["steps"]:
        if "parallel" in step:
            order: list[int] = []

            async def one(i: int, s: dict[str, Any], order: list[int] = order) -> dict[str, Any]:
                record = await run_request(s, run, saved, [])
                order.append(i)
                return record

            results = await asyncio.gather(*(one(i, s) for i, s in enumerate(step["parallel"])))
            records.append({"parallel": list(results), "order": order})
        else:
            records.append(await run_request(step, run, saved, kept))
    for conn in kept:
        conn.writer.close()
    return records

"""From the engine's socket to the client's, with the engine's bytes cut anywhere: what is said is always the same.

No sockets: the bytes are put where the event loop would put them, and taken where it would take them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import orjson
import pytest
from aiohttp.http_writer import StreamWriter
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.http.test_relay import Transport
from tests.unit.translate.chunks import chat, sse, text, usage
from vllama.answering.answer import Answer
from vllama.answering.reading import Reading
from vllama.engine.client import Events, engine_error
from vllama.engine.wire import ConnectionPool, EngineConnection
from vllama.http.relay import RelayedResponse, relay
from vllama.observe.books import Books
from vllama.observe.metrics import Metrics
from vllama.translate.engine.stream import ChatReader, TextReader
from vllama.translate.pieces import Piece, Step

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = st.lists(
    st.text(min_size=1, max_size=6) | st.sampled_from(['"', "\\", "\n", "<", "\u2028", " é", "🦙"]), max_size=25
)


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Reads of these sizes, again and again."""
    at = 0
    while at < len(data):
        size = sizes[0]
        sizes.append(sizes.pop(0))
        yield data[at : at + size]
        at += size


def framed(stream: bytes) -> bytes:
    """An event a chunk, as the engine writes."""
    events = [event + b"\n\n" for event in stream.split(b"\n\n") if event]
    return HEAD + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"


async def passed_on(reads: Iterator[bytes], reader: ChatReader | TextReader, writer: Any) -> bytes:
    """The body that a client gets, out of its frames."""
    pool, transport = ConnectionPool(Path("/nowhere")), Transport()
    connection = EngineConnection(pool)
    connection.connection_made(Mock(spec=asyncio.Transport))
    meter = Books(Metrics(Mock())).meter("/api/chat")
    meter.model = "m"
    answer = Answer(meter, Reading(Events(connection), reader, Mock(suspect=AsyncMock())), 0.0, {})
    sender = StreamWriter(Mock(transport=transport, _drain_helper=AsyncMock()), asyncio.get_running_loop())
    request = make_mocked_request("POST", "/", transport=transport, writer=sender)
    response = RelayedResponse()

    def written(steps: list[Step]) -> bytes:
        return b"".join(writer(step) for step in steps)

    async def run() -> None:
        await answer.wait()
        await response.prepare(request)
        await relay(request, response, answer, written, lambda string: writer(Piece(orjson.loads(string))))
        await response.write_eof()

    running = asyncio.create_task(run())
    for read in reads:
        connection.get_buffer(-1)[: len(read)] = read
        connection.buffer_updated(len(read))
        await asyncio.sleep(0)
    await asyncio.wait_for(running, 10)
    return _unframed(b"".join(transport.written))


def _unframed(data: bytes) -> bytes:
    _, _, rest = data.partition(b"\r\n\r\n")
    out = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        out, rest = out + rest[:length], rest[length + 2 :]
    return out


def said(step: Step) -> bytes:
    """A writer that tells only what was said."""
    return step.content.encode() if isinstance(step, Piece) else b"|%d" % step.completion_tokens


@pytest.mark.parametrize("kind", ["chat", "text"])
@given(words=WORDS, sizes=st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_however_the_engines_bytes_are_cut_everything_is_passed_on_once_and_in_order(kind, words, sizes):
    if kind == "chat":
        reader: ChatReader | TextReader = ChatReader(engine_error)
        payloads = [*(chat({"content": word}) for word in words), chat({}, "stop"), usage()]
    else:
        reader = TextReader(engine_error)
        payloads = [*(text(word, token_ids=[7]) for word in words), text("", "stop"), usage()]
    reads = cut(framed(sse(payloads)), sizes)
    assert asyncio.run(passed_on(reads, reader, said)).decode() == "".join(words) + "|3"

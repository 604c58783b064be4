from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable

import pytest
from aiohttp import ClientSession

from tests.fakes.otlp import Receiver
from tests.live import LiveService
from vllama.caller import NOBODY
from vllama.observe.spent import Spent
from vllama.observe.trace import Trace
from vllama.observe.traces import Traces

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)


def spent(trace: Trace | None, **more: object) -> Spent:
    known = {"request_id": "abc", "began": time.time() - 4, "waiting": 1.0, "first_token": 3.0} | more
    return Spent(NOBODY, "/api/chat", "tiny", 200, 4.0, trace=trace, **known)  # type: ignore[arg-type]


def counted(traces: Traces) -> dict[str, float]:
    return {s.labels["result"]: s.value for family in traces.collect() for s in family.samples}


async def test_a_request_and_its_parts_are_spans_of_the_clients_trace():
    async with Receiver() as receiver:
        traces = Traces()
        await traces.follow(receiver.address + "/")
        trace = traces.begin(f"00-{TRACE}-{SPAN}-01", "")
        assert trace is not None
        traces.take(spent(trace, prompt_tokens=7, generated_tokens=5))
        await traces.close()
        found = {span.name: span for span in receiver.spans}
    assert set(found) == {"request", "waiting", "prefill", "decode"}
    assert {span.trace_id for span in found.values()} == {TRACE}
    assert (found["request"].parent_id, found["request"].span_id) == (SPAN, trace.span_id)
    assert {found[name].parent_id for name in ("waiting", "prefill", "decode")} == {trace.span_id}
    seconds = [round(found[name].seconds, 3) for name in ("request", "waiting", "prefill", "decode")]
    assert seconds == [4, 1, 2, 1]
    about = found["request"].attributes
    assert about["gen_ai.request.model"].string_value == "tiny"
    assert about["gen_ai.usage.output_tokens"].int_value == 5
    assert {span.service for span in found.values()} == {"vllama"}
    assert counted(traces) == {"sent": 4, "lost": 0}


async def test_a_request_that_got_no_engine_only_waited():
    async with Receiver() as receiver:
        traces = Traces()
        await traces.follow(receiver.address)
        traces.take(spent(traces.begin("", ""), waiting=None, first_token=None))
        await traces.close()
        assert sorted(span.name for span in receiver.spans) == ["request", "waiting"]


async def test_what_the_client_does_not_sample_is_not_sent():
    async with Receiver() as receiver:
        traces = Traces()
        await traces.follow(receiver.address)
        traces.take(spent(traces.begin(f"00-{TRACE}-{SPAN}-00", "")))
        await traces.close()
        assert receiver.spans == []


async def test_without_a_receiver_the_clients_place_is_passed_on_and_none_is_made():
    traces = Traces()
    assert traces.begin(f"00-{TRACE}-{SPAN}-01", "") == Trace(TRACE, SPAN)
    assert traces.begin("", "") is None
    traces.take(spent(Trace(TRACE, SPAN)))
    assert counted(traces) == {}


async def test_a_dead_receiver_costs_one_line_and_a_count(caplog: pytest.LogCaptureFixture):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound, but it takes no connection
        traces = Traces()
        await traces.follow(f"http://127.0.0.1:{unheard.getsockname()[1]}")
        with caplog.at_level(logging.INFO):
            began = time.perf_counter()
            for _ in range(200):
                traces.take(spent(traces.begin("", "")))
            assert time.perf_counter() - began < 1
            await until(lambda: counted(traces)["lost"] > 0)
            traces.take(spent(traces.begin("", "")))
            await traces.close()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert len(said) == 1
    assert "can't be sent to http://127.0.0.1" in said[0]


async def test_the_receiver_can_be_changed_and_switched_off():
    async with Receiver() as one, Receiver() as other:
        traces = Traces()
        await traces.follow(one.address)
        traces.take(spent(traces.begin("", "")))
        await traces.follow(other.address)
        traces.take(spent(traces.begin("", "")))
        await traces.follow(None)
        assert not traces.on
        assert (len(one.spans), len(other.spans)) == (4, 4)


async def test_a_served_request_is_a_trace_that_begins_here(service: LiveService):
    async with Receiver() as receiver:
        service.config["observe"] = {"otlp": receiver.address}
        async with service, ClientSession() as session:
            body = {"model": "tinychat", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
            async with session.post(f"{service.url}/api/chat", json=body) as answer:
                assert answer.status == 200
                parent = answer.headers["traceparent"]
            await until(lambda: any(span.name == "request" for span in receiver.spans))
        (request,) = [span for span in receiver.spans if span.name == "request"]
    assert parent == f"00-{request.trace_id}-{request.span_id}-01"
    assert request.parent_id == ""
    assert {"waiting", "prefill", "decode"} <= {span.name for span in receiver.spans}

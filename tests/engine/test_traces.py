"""Our spans and real vLLM's make one trace at a receiver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import ClientSession

from tests.engine.conftest import MODELS
from tests.fakes.otlp import Receiver
from tests.installed_engine import engine_prefix
from tests.live import LiveService
from tests.real import load

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.1)


async def test_our_spans_and_the_engines_make_one_trace(tmp_path: Path):
    async with Receiver() as receiver:
        config = {
            "paths": {"cache": str(engine_prefix().parent / "cache")},
            "engine": {"prefix": str(engine_prefix()), "compile": "never"},
            "models": {"tinychat": MODELS["tinychat"]},
            "observe": {"otlp": receiver.address},
        }
        async with LiveService(tmp_path, config) as service, ClientSession() as session:
            await load(service.url, "tinychat")
            body = {"model": "tinychat", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
            headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Request-Id": "req-7"}
            async with session.post(f"{service.url}/api/chat", json=body, headers=headers) as answer:
                assert answer.status == 200
                assert answer.headers["X-Request-Id"] == "req-7"
            await until(lambda: {"request", "llm_request"} <= {s.name for s in receiver.spans if s.trace_id == TRACE})
            log = service.log
        ours = {span.name: span for span in receiver.spans if span.trace_id == TRACE and span.service == "vllama"}
        (engines,) = [span for span in receiver.spans if span.trace_id == TRACE and span.service == "vllm"]
        assert ours["request"].parent_id == SPAN
        assert ours["request"].attributes["vllama.request_id"].string_value == "req-7"
        assert {"prefill", "decode"} <= set(ours)
        assert engines.parent_id == ours["request"].span_id
        assert "req-7" in engines.attributes["gen_ai.request.id"].string_value
        assert "Traceback" not in log

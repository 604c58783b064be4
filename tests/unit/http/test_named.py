"""What the engine and the client are told of a request: its id, and its place in a trace."""

from __future__ import annotations

import pytest

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
CHAT_BODY = {"model": "tinychat", "messages": [{"role": "user", "content": "Hi"}], "stream": False}


async def ask(server, **headers: str):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with server.session.post(server.base + "/api/chat", json=CHAT_BODY, headers=given) as answer:
        assert answer.status == 200
        return answer.headers


async def test_the_engine_and_the_client_get_the_id_and_the_trace(server):
    answered = await ask(server, X_Request_Id="req-7", traceparent=PARENT, tracestate="vendor=1")
    for headers in (server.engine.heads[-1], answered):
        assert headers["X-Request-Id"] == "req-7"
        assert headers["traceparent"] == PARENT
        assert headers["tracestate"] == "vendor=1"


async def test_each_request_has_an_id_and_its_own(server):
    answered = [(await ask(server))["X-Request-Id"] for _ in range(2)]
    assert [head["X-Request-Id"] for head in server.engine.heads] == answered
    assert len(set(answered)) == 2
    assert "traceparent" not in server.engine.heads[-1]


@pytest.mark.parametrize("bad", ["a b", "=1+1", "a" * 129, '"><script>', "a,b", "\u00fc"])
async def test_an_id_that_could_do_harm_is_replaced(server, bad: str):
    answered = await ask(server, X_Request_Id=bad)
    assert answered["X-Request-Id"] == server.engine.heads[-1]["X-Request-Id"] != bad


async def test_what_is_no_trace_is_not_passed_on(server):
    answered = await ask(server, traceparent="00-nonsense", tracestate="vendor=1")
    for headers in (server.engine.heads[-1], answered):
        assert "traceparent" not in headers
        assert "tracestate" not in headers

from __future__ import annotations

import asyncio

import orjson
import pytest

from tests.unit.http.scripted import CHAT, TOKENIZE, Reply, error
from tests.unit.translate.chunks import call, chat, sse, usage
from vllama.supervisor.port import FOREVER

HI = [{"role": "user", "content": "Hi"}]
ASK = {"model": "tinychat", "messages": HI}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
TOO_LONG = error(400, "This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049")


async def test_streams_lines_and_one_end(server):
    status, lines = await server.post("/api/chat", ASK)
    assert status == 200
    assert [line["message"]["content"] for line in lines] == ["Hi", ""]
    assert [line["done"] for line in lines] == [False, True]
    assert lines[-1]["done_reason"] == "stop"
    assert all(
        lines[-1][key] > 0 for key in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
    )
    assert (lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]) == (5, 3)


async def test_without_a_stream_the_same_in_one_object(server):
    _, body = await server.post("/api/chat", {**ASK, "stream": False})
    assert (body["message"], body["done"]) == ({"role": "assistant", "content": "Hi"}, True)


async def test_each_piece_leaves_at_once(server):
    server.engine.replies[CHAT] = [Reply(parts=[b"data: " + chat({"content": "Hi"}) + b"\n\n"], hold=True)]
    async with server.session.post(server.base + "/api/chat", data=orjson.dumps(ASK)) as answer:
        line = await asyncio.wait_for(answer.content.readline(), 5)
        assert orjson.loads(line)["message"]["content"] == "Hi"


async def test_tool_calls_come_whole_in_a_chunk_of_their_own(server):
    parts = [chat(call(0, "f", call_id="x")), chat(call(0, arguments='{"a":1}')), chat({}, "tool_calls"), usage()]
    server.engine.replies[CHAT] = [Reply(parts=[sse(parts)])]
    _, lines = await server.post("/api/chat", {**ASK, "tools": [TOOL]})
    (reported,) = lines[0]["message"]["tool_calls"]
    assert reported["function"] == {"index": 0, "name": "f", "arguments": {"a": 1}}
    assert lines[-1]["done_reason"] == "stop"
    assert server.engine.bodies(CHAT)[0]["tools"] == [TOOL]


async def test_a_format_that_is_refused_has_the_media_type_of_its_generator(server):
    for stream, kind in ((True, "application/json"), (False, "application/json; charset=utf-8")):
        data = orjson.dumps({**ASK, "format": "xml", "stream": stream})
        async with server.session.post(server.base + "/api/chat", data=data) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (500, kind)


async def test_tools_without_content_are_tools_without_a_name(server):
    """Go reads null as a struct without members, and so does the chat template."""
    for tools in ([None], [{}], [{"type": "function", "function": None}]):
        assert (await server.post("/api/chat", {**ASK, "tools": tools}))[0] == 200
    parameters = {"type": "object", "properties": {"a": None}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    assert (await server.post("/api/chat", {**ASK, "tools": tools}))[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
        ({}, 400, "model is required"),
        ({"model": "a b"}, 400, "invalid model name"),
        ({"model": "x:cloud:local"}, 400, 'use either :local or :cloud, not both: "x:cloud:local"'),
        ({"model": "gpt:20b-cloud"}, 403, "ollama cloud is disabled: remote model is unavailable"),
        ({"model": "Nobody", "think": True}, 404, "model 'Nobody' not found"),
        ({"model": "plainchat", "think": "low", "tools": [TOOL]}, 400, '"plainchat" does not support thinking'),
        ({"model": "minilm", "messages": HI}, 400, '"minilm" does not support chat'),
        (
            {"model": "plainchat", "messages": [], "tools": [TOOL]},
            400,
            "registry.ollama.ai/library/plainchat:latest does not support tools",
        ),
        ({**ASK, "options": {"temperature": "hot"}}, 500, 'option "temperature" must be of type float32'),
        (
            {**ASK, "format": "xml"},
            500,
            r'invalid format: "\"xml\""; expected "json" or a valid JSON Schema object',
        ),
        (
            {**ASK, "messages": [{"role": "user", "content": "x", "images": ["AAAA"]}]},
            400,
            '"tinychat" does not support vision',
        ),
    ],
)
async def test_checks_in_ollamas_order(server, body, status, text):
    assert await server.post("/api/chat", body) == (status, {"error": text})
    assert server.engine.requests == []


async def test_loads_and_unloads(server):
    status, body = await server.post("/api/chat", {"model": "TinyChat", "keep_alive": -1, "messages": []})
    assert (status, body["model"], body["done_reason"]) == (200, "TinyChat", "load")
    assert server.engines.keep_alives == [FOREVER]
    _, body = await server.post("/api/chat", {"model": "tinychat", "keep_alive": "0s"})
    assert body["done_reason"] == "unload"
    assert server.engines.snapshot() == ()


async def test_the_engines_refusal_names_the_field_and_not_its_words(server):
    server.engine.replies[CHAT] = [error(400, "temperature must be in [0, 2], got 5.0.")]
    server.engine.replies[TOKENIZE] = [Reply(parts=[b'{"tokens":[1]}'])]
    status, body = await server.post("/api/chat", ASK)
    assert (status, body) == (400, {"error": 'the model\'s engine does not accept the value of "temperature"'})


async def test_a_refusal_inside_the_stream_still_gets_a_status(server):
    payload = orjson.dumps({"error": {"message": "Grammar error: x", "type": "BadRequestError", "code": 400}})
    server.engine.replies[CHAT] = [Reply(parts=[sse([payload])])]
    status, body = await server.post("/api/chat", ASK)
    assert status == 400
    assert body["error"] == "the model's engine or its chat template does not accept this request"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_engine_that_dies_before_output_is_a_500(server, stream):
    server.engine.replies[CHAT] = [Reply(close=True)]
    status, body = await server.post("/api/chat", {**ASK, "stream": stream})
    assert status == 500
    assert body["error"].startswith("model runner has unexpectedly stopped")


async def test_an_engine_that_dies_in_mid_stream_ends_it_with_one_error_line(server):
    server.engine.replies[CHAT] = [Reply(parts=[b"data: " + chat({"content": "Once"}) + b"\n\n"], close=True)]
    status, lines = await server.post("/api/chat", ASK)
    assert status == 200
    assert lines[0]["message"]["content"] == "Once"
    assert lines[-1]["error"].startswith("an error was encountered while running the model: ")
    assert not any(line.get("done") for line in lines)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("parts", [[], [b"data: " + chat({"content": "a"}) + b"\n\n"]])
async def test_a_client_that_leaves_frees_the_engine_and_the_lease(server, stream, parts):
    server.engine.replies[CHAT] = [Reply(parts=parts, hold=True)]
    asking = asyncio.create_task(server.post("/api/chat", {**ASK, "stream": stream}))
    while not server.engine.requests:
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait_for(server.engine.left.wait(), 5)
    while any(view.leases for view in server.engines.snapshot()):
        await asyncio.sleep(0.01)
    while 'status="499"' not in server.books.metrics.render():
        await asyncio.sleep(0.01)


def count(body):
    """Ten tokens a message."""
    return Reply(parts=[orjson.dumps({"tokens": list(range(10 * len(body["messages"]))), "count": 0})])


LONG = [{"role": "system", "content": "S"}, *({"role": "user", "content": str(i)} for i in range(300))]


async def test_the_oldest_turns_go_when_the_history_is_too_long_and_the_answer_says_so(server):
    good = Reply(parts=[sse([chat({"content": "Hi"}), chat({}, "stop"), usage()])])
    server.engine.replies[CHAT] = [TOO_LONG, good]
    server.engine.replies[TOKENIZE] = [count]
    data = orjson.dumps({**ASK, "messages": LONG, "options": {"num_predict": 48}})
    async with server.session.post(server.base + "/api/chat", data=data) as answer:
        assert answer.status == 200
        assert answer.headers["X-Vllama-Dropped-Messages"] == "101"
    sent = server.engine.bodies(CHAT)[-1]["messages"]
    assert len(sent) == 200
    assert [m["content"] for m in (sent[0], sent[1], sent[-1])] == ["S", "101", "299"]
    assert len(server.engine.bodies(TOKENIZE)) < 12
    assert 'vllama_dropped_messages_total{model="tinychat:latest"} 101.0' in server.books.metrics.render()


@pytest.mark.parametrize("messages", [ASK["messages"], []], ids=["chat", "load"])
async def test_a_context_larger_than_the_engines_is_answered_with_what_there_is_and_says_so(server, messages):
    for wanted, reported in ((2048, None), (2049, "2048")):
        data = orjson.dumps({**ASK, "messages": messages, "options": {"num_ctx": wanted}})
        async with server.session.post(server.base + "/api/chat", data=data) as answer:
            assert answer.status == 200
            assert answer.headers.get("X-Vllama-Context-Length") == reported


async def test_nothing_is_dropped_when_the_client_forbids_it(server):
    server.engine.replies[CHAT] = [TOO_LONG]
    server.engine.replies[TOKENIZE] = [count]
    status, body = await server.post("/api/chat", {**ASK, "messages": LONG, "truncate": False})
    assert status == 400
    assert orjson.loads(body["error"])["error"] == {
        "code": 400,
        "message": "request (3010 tokens) exceeds the available context size (2048 tokens), try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 3010,
        "n_ctx": 2048,
    }


async def test_one_message_that_is_too_long_is_refused_without_shift(server):
    server.engine.replies[CHAT] = [TOO_LONG]
    server.engine.replies[TOKENIZE] = [Reply(parts=[orjson.dumps({"tokens": list(range(5000))})])]
    status, body = await server.post("/api/chat", {**ASK, "shift": False})
    assert status == 400
    assert body["error"].startswith("the prompt is longer than the context length")


async def test_megabytes_never_reach_the_engine(server):
    body = {**ASK, "messages": [{"role": "user", "content": "x" * 900_000}]}
    status, reported = await server.post("/api/chat", body)
    assert status == 400
    assert reported["error"].startswith("the prompt is longer than the context length")
    assert server.engine.requests == []


async def test_thousands_of_long_messages_are_dropped_in_bounded_time(server):
    server.engine.replies[TOKENIZE] = [count]
    messages = [{"role": "user", "content": "x" * 60} for _ in range(9_000)]
    status, _ = await asyncio.wait_for(server.post("/api/chat", {**ASK, "messages": messages}), 10)
    assert status == 200
    assert len(server.engine.bodies(CHAT)[0]["messages"]) == 153

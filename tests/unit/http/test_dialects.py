"""OpenAI's and Anthropic's routes: Ollama's checks, statuses and headers."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
import threading

import orjson
import pytest

from tests.unit.http.scripted import CHAT, EMBED, TEXT, TOKENIZE, Reply
from vllama.http.bodies import decoded

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
VECTORS = b'{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3,4]}],"usage":{"prompt_tokens":5}}'


async def refused(server, path: str, **body) -> tuple[int, str]:
    status, reported = await server.post(path, body)
    return status, reported["error"]["message"]


async def test_chat_checks_in_ollamas_order(server):
    path = "/v1/chat/completions"
    assert await refused(server, path, messages=HI, top_logprobs=21) == (
        400,
        "top_logprobs must be between 0 and 20",
    )
    assert await refused(server, path, messages=HI) == (400, "model is required")
    assert await refused(server, path, messages=HI, model="a b") == (400, "invalid model name")
    assert await refused(server, path, messages=HI, model="nobody") == (404, "model 'nobody' not found")
    assert await refused(server, path, messages=HI, model="plainchat", reasoning_effort="high") == (
        400,
        '"plainchat" does not support thinking',
    )
    assert await refused(server, path, messages=HI, model="minilm") == (400, '"minilm" does not support chat')
    assert await refused(server, path, messages=HI, model="plainchat", tools=[TOOL]) == (
        400,
        "registry.ollama.ai/library/plainchat:latest does not support tools",
    )
    assert not server.engine.requests


async def test_a_format_that_is_no_schema_is_refused_in_ollamas_words(server):
    wanted = {"type": "json_schema", "json_schema": {"schema": ["x"]}}
    status, text = await refused(server, "/v1/chat/completions", model="tinychat", messages=HI, response_format=wanted)
    assert status == 500
    assert text == r'invalid format: "[\"x\"]"; expected "json" or a valid JSON Schema object'


async def test_messages_without_any_part_only_load_the_model(server):
    asked = {"model": "tinychat", "messages": [{"role": "user", "content": []}]}
    status, reported = await server.post("/v1/chat/completions", asked)
    assert (status, reported["choices"][0]["finish_reason"]) == (200, "load")
    assert reported["choices"][0]["message"] == {"role": "assistant", "content": ""}
    assert reported["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    data = orjson.dumps({**asked, "stream": True})
    async with server.session.post(server.base + "/v1/chat/completions", data=data) as answer:
        lines = (await answer.read()).decode().split("\n\n")
    assert [line[-60:].count('"finish_reason":"load"') for line in lines] == [0, 1, 0, 0]
    assert lines[2] == "data: [DONE]"
    assert not server.engine.requests


async def test_a_message_that_says_nothing_only_loads_the_model(server):
    asked = {"model": "tinychat", "max_tokens": 9, "messages": [{"role": "user", "content": ""}]}
    status, reported = await server.post("/v1/messages", asked)
    assert (status, reported["content"], reported["stop_reason"]) == (200, [], "stop_sequence")
    assert reported["usage"] == {"input_tokens": 0, "output_tokens": 0}
    data = orjson.dumps({**asked, "stream": True})
    async with server.session.post(server.base + "/v1/messages", data=data) as answer:
        events = [line for line in (await answer.read()).decode().splitlines() if line.startswith("event")]
    assert events == ["event: message_start", "event: message_delta", "event: message_stop"]
    assert not server.engine.requests


async def test_the_rendered_prompt_is_returned_on_request(server):
    server.engine.replies[TOKENIZE] = [Reply(parts=[b'{"tokens":[1]}'])]
    server.engine.replies["/detokenize"] = [Reply(parts=[b'{"prompt":"<user>Hi"}'])]
    asked = {"model": "tinychat", "messages": HI, "_debug_render_only": True}
    status, reported = await server.post("/v1/chat/completions", asked)
    assert (status, reported["_debug_info"]) == (200, {"rendered_template": "<user>Hi"})
    assert reported["choices"] == [{"index": 0, "message": {"role": "", "content": ""}, "finish_reason": None}]


async def test_tools_that_may_not_be_called_are_not_shown_to_the_model(server):
    asked = {"model": "tinychat", "messages": HI, "tools": [TOOL], "tool_choice": "none"}
    assert (await server.post("/v1/chat/completions", asked))[0] == 200
    tool = {"name": "f", "input_schema": {"type": "object"}}
    asked = {"model": "tinychat", "messages": HI, "max_tokens": 9, "tools": [tool], "tool_choice": {"type": "none"}}
    assert (await server.post("/v1/messages", asked))[0] == 200
    for body in server.engine.bodies(CHAT):
        assert not body.keys() & {"tools", "tool_choice"}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
async def test_an_error_in_the_place_of_a_stream_is_not_to_be_cached_either(server, path):
    for stream, reported in ((True, "no-cache"), (False, None)):
        asked = {"model": "nobody", "max_tokens": 9, "messages": HI, "input": "Hi", "stream": stream}
        async with server.session.post(server.base + path, data=orjson.dumps(asked)) as answer:
            assert (answer.status, answer.headers.get("Cache-Control")) == (404, reported)


async def test_a_wish_to_think_is_dropped_by_anthropics_route_alone(server):
    body = {"model": "plainchat", "max_tokens": 9, "messages": HI, "thinking": {"type": "enabled"}}
    status, reported = await server.post("/v1/messages", body)
    assert (status, reported["content"]) == (200, [{"type": "text", "text": "Hi"}])


async def test_completions_check_in_ollamas_order(server):
    path = "/v1/completions"
    assert await refused(server, path, prompt="x", logprobs=21) == (400, "top_logprobs must be between 0 and 20")
    assert await refused(server, path, prompt="x") == (404, "model '' not found")
    assert await refused(server, path, prompt="x", model="minilm") == (400, '"minilm" does not support generate')
    assert await refused(server, path, prompt="x", suffix="y", model="plainchat") == (
        400,
        "registry.ollama.ai/library/plainchat:latest does not support insert",
    )


async def test_embeddings_are_of_length_one_in_the_order_of_their_inputs(server):
    server.engine.replies[EMBED] = [Reply(parts=[VECTORS])]
    _, reported = await server.post("/v1/embeddings", {"model": "minilm", "input": ["a", "b"]})
    assert reported == {
        "object": "list",
        "data": [
            {"object": "embedding", "embedding": [0.6, 0.8], "index": 0},
            {"object": "embedding", "embedding": [0, 1], "index": 1},
        ],
        "model": "minilm",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    body = {"model": "minilm", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 1}
    _, reported = await server.post("/v1/embeddings", body)
    assert struct.unpack("<f", base64.b64decode(reported["data"][0]["embedding"])) == (1.0,)


async def test_an_empty_string_is_embedded_too(server):
    server.engine.replies[EMBED] = [Reply(parts=[VECTORS])]
    await server.post("/v1/embeddings", {"model": "minilm", "input": ""})
    assert server.engine.bodies(EMBED)[0]["input"] == [""]
    assert await refused(server, "/v1/embeddings", model="minilm", input=5) == (400, "invalid input type")
    assert await refused(server, "/v1/embeddings", input="x") == (404, "model '' not found")
    assert await refused(server, "/v1/embeddings", input="x", model="nobody") == (
        404,
        'model "nobody" not found, try pulling it first',
    )


async def test_models_are_listed_and_found(server):
    async with server.session.get(server.base + "/v1/models") as answer:
        listed = await answer.json()
    assert {model["id"] for model in listed["data"]} == {"tinychat:latest", "plainchat:latest", "minilm:latest"}
    async with server.session.get(server.base + "/v1/models/TinyChat") as answer:
        model = await answer.json()
    assert (model["id"], model["object"], model["owned_by"]) == ("TinyChat", "model", "library")
    async with server.session.get(server.base + "/v1/models/nobody") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["message"] == "model 'nobody:latest' not found"


async def test_no_models_are_an_empty_list(server):
    server.models.models.clear()
    async with server.session.get(server.base + "/v1/models") as answer:
        assert await answer.json() == {"object": "list", "data": []}


@pytest.mark.parametrize("content", ["", [], [{"type": "text", "text": ""}]])
async def test_a_conversation_that_says_nothing_has_no_tokens(server, content):
    body = {"model": "tinychat", "messages": [{"role": "user", "content": content}]}
    assert await server.post("/v1/messages/count_tokens", body) == (200, {"input_tokens": 0})
    assert server.engine.bodies(TOKENIZE) == []


async def test_tokens_are_counted_with_system_and_tools(server):
    server.engine.replies[TOKENIZE] = [Reply(parts=[b'{"tokens":[1,2,3]}'])]
    tool = {"name": "f", "input_schema": {"type": "object"}}
    body = {"model": "tinychat", "messages": HI, "system": "Be brief.", "tools": [tool]}
    assert await server.post("/v1/messages/count_tokens", body) == (200, {"input_tokens": 3})
    (asked,) = server.engine.bodies(TOKENIZE)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["tools"][0]["function"]["name"] == "f"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"])
async def test_a_body_over_the_limit_is_refused_in_the_routes_own_shape(server, path):
    async with server.session.post(server.base + path, data=io.BytesIO(b"x" * (2 << 20))) as answer:
        assert answer.status == 413
        reported = await answer.json()
    assert "max_body" in reported["error"]["message"]
    assert ("request_id" in reported) == (path == "/v1/messages")


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/chat/completions", {"messages": HI}, "text/event-stream"),
        ("/v1/responses", {"input": "x"}, "text/event-stream"),
        ("/v1/messages", {"messages": HI, "max_tokens": 9}, "text/event-stream"),
    ],
)
async def test_streams_are_events_in_chunks(server, path, body, kind):
    asked = {"model": "tinychat", "stream": True} | body
    async with server.session.post(server.base + path, json=asked) as answer:
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Transfer-Encoding"] == "chunked"
        cached = answer.headers.get("Cache-Control")
        assert cached == (None if path.startswith("/v1/chat") else "no-cache")


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("kind", ["deep", "many"])
async def test_what_is_too_much_to_decode_is_refused_in_the_routes_own_shape(server, path, kind, caplog):
    value = b'{"a":' * 500 + b"1" + b"}" * 500 if kind == "deep" else b"[" + b"[]," * 300_000 + b"[]]"
    said = "nested too deeply" if kind == "deep" else "at most that many"
    async with server.session.post(server.base + path, data=b'{"model":"tinychat","tools":%s}' % value) as answer:
        reported = orjson.loads(await answer.read())["error"]
        assert answer.status == 400
        assert said in (reported if path.startswith("/api") else reported["message"])
    assert "Traceback" not in caplog.text


async def test_heavy_bodies_are_decoded_outside_the_loop_and_two_at_a_time():
    here, running, most = threading.get_ident(), 0, 0
    meet = threading.Barrier(2)

    def read(data: bytes) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        meet.wait(60)  # two are there at once, and no third is
        running -= 1
        return threading.get_ident()

    readers = await asyncio.gather(*(decoded(b"a" * (1 << 20), read) for _ in range(6)))
    assert here not in readers
    assert len(set(readers)) == most == 2
    assert await decoded(b"{}", lambda _: threading.get_ident()) == here


async def test_a_list_of_prompts_gets_an_answer_each_and_one_usage(server):
    asked = {"model": "plainchat", "prompt": ["one", "two"], "n": 2}
    status, reported = await server.post("/v1/completions", asked)
    assert (status, [choice["index"] for choice in reported["choices"]]) == (200, [0, 1, 2, 3])
    sent = server.engine.bodies(CHAT)
    assert sorted(body["messages"][-1]["content"] for body in sent) == ["one", "one", "two", "two"]
    single = (await server.post("/v1/completions", {"model": "plainchat", "prompt": "one"}))[1]
    assert reported["usage"]["prompt_tokens"] == 2 * single["usage"]["prompt_tokens"]
    assert reported["usage"]["completion_tokens"] == 4 * single["usage"]["completion_tokens"]


async def test_tokens_are_continued_as_they_are(server):
    status, reported = await server.post("/v1/completions", {"model": "plainchat", "prompt": [5, 6]})
    assert (status, reported["choices"][0]["text"]) == (200, "Hi")
    assert server.engine.bodies(TEXT)[0]["prompt"] == [5, 6]


@pytest.mark.parametrize(("given", "sent"), [([5, 6], [[5, 6]]), ([[5], [6]], [[5], [6]])])
async def test_tokens_are_embedded_as_they_are(server, given, sent):
    server.engine.replies[EMBED] = [Reply(parts=[VECTORS])]
    status, reported = await server.post("/v1/embeddings", {"model": "minilm", "input": given})
    assert (status, len(reported["data"])) == (200, 2)
    assert server.engine.bodies(EMBED)[0] == {"model": "minilm", "input": sent}

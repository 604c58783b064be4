"""A chat with ``format`` on a model that thinks: it thinks freely, then answers in that form."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest

from tests.unit.http.conftest import CHATTER
from tests.unit.http.scripted import CHAT, TEXT, TOKENIZE, Reply, error
from tests.unit.translate.chunks import call, chat, sse, text, usage

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
ASK = {"model": "tinychat", "messages": [{"role": "user", "content": "Hi"}], "format": SCHEMA}
THOUGHTS = [chat({"reasoning": "\nHm"}), chat({"reasoning": ".\n"})]
BEGUN = sse([*THOUGHTS, chat({"content": "\n\nSure, here"})]).removesuffix(b"data: [DONE]\n\n")
ANSWER = [text('{"a":'), text("1}", "stop"), usage(prompt=8, completion=4)]


@pytest.fixture(autouse=True)
def engine(server):
    facts = replace(CHATTER.facts, special_tokens={"<think>": 20, "</think>": 21})
    server.models.models[CHATTER.name.key] = replace(CHATTER, facts=facts)
    server.engine.replies[CHAT] = [Reply(parts=[BEGUN], hold=True)]
    server.engine.replies[TEXT] = [Reply(parts=[sse(ANSWER)])]
    server.engine.replies[TOKENIZE] = [tokens]
    return server.engine


def tokens(body):
    found = [1, 2, 3] if "messages" in body else [20, 4, 21, 5]
    return Reply(parts=[orjson.dumps({"tokens": found})])


async def test_thinks_freely_and_answers_in_the_wanted_form(server, engine):
    status, lines = await server.post("/api/chat", ASK)
    assert status == 200
    assert "".join(line["message"].get("thinking", "") for line in lines) == "Hm.\n"
    assert "".join(line["message"]["content"] for line in lines) == '{"a":1}'
    assert "response_format" not in engine.bodies(CHAT)[0]
    (second,) = engine.bodies(TEXT)
    assert second["prompt"] == [1, 2, 3, 20, 4, 21, 5]
    assert second["response_format"]["format"]["json_schema"] == SCHEMA
    assert engine.bodies(TOKENIZE)[1]["prompt"] == "<think>\nHm.\n\n</think>\n\n"


async def test_the_first_request_is_given_up(server, engine):
    await server.post("/api/chat", ASK)
    await asyncio.wait_for(engine.left.wait(), 5)


async def test_both_requests_are_counted_as_one_answer(server):
    _, body = await server.post("/api/chat", {**ASK, "stream": False})
    assert (body["prompt_eval_count"], body["eval_count"]) == (3, 9)
    assert body["eval_duration"] > 0


async def test_an_open_tag_is_not_opened_again(server, engine):
    engine.replies[TOKENIZE] = [lambda body: Reply(parts=[orjson.dumps({"tokens": [1, 20, 2]})])]
    await server.post("/api/chat", ASK)
    assert engine.bodies(TOKENIZE)[1]["prompt"] == "Hm.\n\n</think>\n\n"


async def test_an_answer_without_thoughts_takes_the_form_too(server, engine):
    engine.replies[CHAT] = [
        Reply(parts=[sse([chat({"content": "Sure"})]).removesuffix(b"data: [DONE]\n\n")], hold=True)
    ]
    _, body = await server.post("/api/chat", {**ASK, "stream": False})
    assert body["message"] == {"role": "assistant", "content": '{"a":1}'}


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ([*THOUGHTS, chat({}, "stop"), usage()], "stop"),
        ([*THOUGHTS, chat({}, "length"), usage()], "length"),
        ([*THOUGHTS, chat(call(0, "f", "{}")), chat({}, "tool_calls"), usage()], "stop"),
    ],
)
async def test_thoughts_alone_or_a_call_are_the_whole_answer(server, engine, first, reason):
    engine.replies[CHAT] = [Reply(parts=[sse(first)])]
    _, body = await server.post("/api/chat", {**ASK, "stream": False})
    assert (body["done_reason"], body["message"]["thinking"], body["message"]["content"]) == (reason, "Hm.\n", "")
    assert engine.bodies(TEXT) == []


async def test_thoughts_that_fill_the_context_end_the_answer(server, engine):
    engine.replies[TOKENIZE] = [lambda body: Reply(parts=[orjson.dumps({"tokens": [1] * 1024})])]
    _, body = await server.post("/api/chat", {**ASK, "stream": False})
    assert (body["done_reason"], body["message"]["content"]) == ("length", "")
    assert (body["prompt_eval_count"], body["eval_count"]) == (1024, 1024)


REFUSED_FORM = "Failed to transform json schema into a grammar: x"


async def test_where_the_form_is_refused_after_the_thoughts_the_answer_is_plain_json(server, engine):
    engine.replies[TEXT] = [error(400, REFUSED_FORM), Reply(parts=[sse(ANSWER)])]
    status, body = await server.post("/api/chat", {**ASK, "stream": False})
    assert (status, body["message"]["thinking"], body["message"]["content"]) == (200, "Hm.\n", '{"a":1}')
    _, again = engine.bodies(TEXT)
    assert again["response_format"]["format"]["json_schema"] == {"type": "object"}


async def test_a_form_that_is_refused_even_so_is_reported_at_the_end_of_the_stream(server, engine):
    engine.replies[TEXT] = [error(400, REFUSED_FORM)]
    _, lines = await server.post("/api/chat", ASK)
    assert "can't force its answer into this format" in lines[-1]["error"]


@pytest.mark.parametrize(
    "wish", [{"think": False}, {"messages": [{"role": "user", "content": "", "images": ["aGk="]}]}]
)
async def test_without_thinking_or_with_pictures_one_request_does(server, engine, wish):
    kept = server.models.models[CHATTER.name.key]
    facts = replace(kept.facts, capabilities=(*kept.facts.capabilities, "vision"))
    server.models.models[CHATTER.name.key] = replace(kept, facts=facts)
    engine.replies[CHAT] = [Reply(parts=[sse([chat({"content": "{}"}, "stop"), usage()])])]
    await server.post("/api/chat", {**ASK, **wish})
    assert "response_format" in engine.bodies(CHAT)[0]
    assert engine.bodies(TEXT) == []


async def test_generate_takes_one_request(server, engine):
    engine.replies[CHAT] = [Reply(parts=[sse([*THOUGHTS, chat({"content": "{}"}, "stop"), usage()])])]
    await server.post("/api/generate", {"model": "tinychat", "prompt": "Hi", "format": SCHEMA})
    assert "response_format" in engine.bodies(CHAT)[0]
    assert engine.bodies(TEXT) == []

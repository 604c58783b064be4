"""Schemas that the engine would refuse, on every route: they are answered, and a header names what isn't enforced."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from tests.client import Client
from tests.component.conftest import engine_of
from tests.fakes.answers import REFUSED
from tests.live import LiveService
from tests.odd_schemas import ODD
from vllama.translate.schemas.preparing import prepare

ASKED = [{"role": "user", "content": "Describe Italy."}]
ODD_ITEMS = {"type": "ARRAY", "items": {"type": "string", "format": "color"}, "uniqueItems": True, "contains": {}}
SCHEMA = {"type": "object", "properties": {"a": ODD_ITEMS, "b": {"multipleOf": 5, "type": "INTEGER"}}, "required": None}
NAMED = "uniqueItems, contains, format, multipleOf"


def asking(schema: Any) -> list[tuple[str, dict[str, Any]]]:
    """The same on every route that knows schemas."""
    named = {"name": "x", "schema": schema}
    return [
        ("/api/chat", {"messages": ASKED, "think": False, "format": schema}),
        ("/api/generate", {"prompt": "Describe Italy.", "think": False, "format": schema}),
        (
            "/v1/chat/completions",
            {
                "messages": ASKED,
                "reasoning_effort": "none",
                "response_format": {"type": "json_schema", "json_schema": named},
            },
        ),
        (
            "/v1/messages",
            {
                "messages": ASKED,
                "max_tokens": 99,
                "thinking": {"type": "disabled"},
                "output_config": {"format": {"type": "json_schema", "schema": schema}},
            },
        ),
        (
            "/v1/responses",
            {
                "input": ASKED,
                "reasoning": {"effort": "none"},
                "text": {"format": {"type": "json_schema", **named}},
            },
        ),
    ]


ROUTES = [path for path, _ in asking({})]


@pytest.fixture
async def client(shared: LiveService, up: Client) -> ClientSession:
    await engine_of(shared)
    return up.session


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ROUTES)
async def test_what_is_not_enforced_is_named_on_every_route(client, path, stream):
    body = dict(asking(SCHEMA))[path] | {"model": "tinychat", "stream": stream}
    async with client.post(path, json=body) as answer:
        text = await answer.text()
        assert (answer.status, answer.headers.get("X-Vllama-Ignored")) == (200, NAMED), text
    async with client.post(path, json=dict(asking({"type": "object"}))[path] | {"model": "tinychat"}) as answer:
        assert "X-Vllama-Ignored" not in answer.headers


async def test_no_odd_schema_is_refused(client):
    """The engine here refuses types and words that no grammar has, as the real one does."""
    for name, (schema, _) in ODD.items():
        ignored = prepare(orjson.loads(json.dumps(schema))).ignored  # on the wire, huge integers are floats
        for path, body in asking(schema):
            if path.startswith("/api") and not isinstance(schema, dict):
                continue  # Ollama's own routes take nothing but objects and "json"
            async with client.post(path, json=body | {"model": "tinychat", "stream": False}) as answer:
                assert answer.status == 200, (name, path, await answer.text())
                named = answer.headers.get("X-Vllama-Ignored", "")
                assert set(filter(None, named.split(", "))) == set(ignored), name


@pytest.mark.parametrize("wanted", ["xml", 42, True, [], ["json"]])
async def test_what_is_no_schema_is_refused_as_ever(client, wanted):
    for path, body in asking(wanted)[:2]:
        async with client.post(path, json=body | {"model": "tinychat", "stream": False}) as answer:
            assert answer.status == 500
            assert 'expected "json" or a valid JSON Schema object' in (await answer.json())["error"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ROUTES)
async def test_a_grammar_that_the_engine_refuses_after_all_becomes_plain_json(client, path, stream):
    schema = {"type": "object", "properties": {"a": {"enum": [REFUSED]}}}
    async with client.post(path, json=dict(asking(schema))[path] | {"model": "tinychat", "stream": stream}) as answer:
        text = await answer.text()
        assert (answer.status, answer.headers.get("X-Vllama-Ignored")) == (200, "format"), text
        assert "Failed to" not in text


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "paint"}}])
async def test_a_forced_tool_with_an_odd_schema_is_called(client, choice):
    function = {"name": "paint", "parameters": SCHEMA, "description": "Paints."}
    body = {"model": "tinychat", "messages": [{"role": "user", "content": 'paint {"b":5}'}], "reasoning_effort": "none"}
    body |= {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
    async with client.post("/v1/chat/completions", json=body) as answer:
        said = await answer.json()
        assert (answer.status, answer.headers.get("X-Vllama-Ignored")) == (200, NAMED), said
        call = said["choices"][0]["message"]["tool_calls"][0]["function"]
        assert (call["name"], json.loads(call["arguments"])) == ("paint", {"b": 5})
    body["tool_choice"] = "auto"
    async with client.post("/v1/chat/completions", json=body) as answer:
        assert "X-Vllama-Ignored" not in answer.headers  # no grammar is made of it

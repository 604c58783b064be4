"""What is done on the event loop and what beside it: ordinary requests pay nothing, heavy ones make nobody wait."""

from __future__ import annotations

from tests.unit.http.conftest import Door

HI = [{"role": "user", "content": "Hi"}]


async def test_an_ordinary_request_is_read_and_judged_where_it_is(server: Door):
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}}
    status, _ = await server.post("/api/chat", {"model": "tinychat", "messages": HI, "format": schema, "stream": False})
    assert status == 200
    assert server.aside.jobs == []


async def test_a_large_schema_is_judged_in_a_worker(server: Door):
    schema = {"anyOf": [{"type": "string", "pattern": "[a-z]{3}"}] * 400 + [{"enum": ["a"]}] * 90}
    nested = {"type": "object", "properties": {"a": schema, "b": schema}, "required": ["a", "b"]}
    body = {"model": "tinychat", "messages": HI, "format": nested, "stream": False}
    assert (await server.post("/api/chat", body))[0] == 200
    assert "check_schemas" in server.aside.jobs


async def test_a_template_of_a_request_is_read_and_rendered_in_a_worker(server: Door):
    body = {"model": "tinychat", "prompt": "Hi", "template": "<{{ .Prompt }}>", "stream": False}
    assert (await server.post("/api/generate", body))[0] == 200
    assert server.aside.jobs == ["check_template", "rendered"]


async def test_a_template_that_can_not_be_read_is_reported_before_anything_is_loaded(server: Door):
    body = {"model": "tinychat", "prompt": "Hi", "template": "{{", "stream": False}
    status, answer = await server.post("/api/generate", body)
    assert status == 500
    assert answer["error"].startswith("template: ")
    assert server.engines.keep_alives == []

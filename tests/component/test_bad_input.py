"""Bad input: a clear error in Ollama's words, nothing lost, nothing that hangs."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.client import Client, text_of
from tests.component.conftest import engine_of
from tests.live import LiveService

HI = [{"role": "user", "content": "hi"}]
PNG = base64.b64encode(bytes.fromhex("89504e470d0a1a0a") + b"\0" * 60).decode()


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/chat", b"{bad", 400, "not valid JSON"),
        ("/api/chat", b"", 400, "missing request body"),
        ("/api/generate", b"", 400, "missing request body"),
        ("/api/chat", {"model": 7, "messages": HI}, 400, "model: expected a string, got a number"),
        ("/api/chat", {"model": "tinychat", "messages": "hi"}, 400, "messages: expected a list, got a string"),
        ("/api/chat", {"model": "nope", "messages": HI}, 404, "model 'nope' not found"),
        ("/api/generate", {"model": "nope", "prompt": "hi"}, 404, "model 'nope' not found"),
        ("/api/embed", {"model": "nope", "input": "hi"}, 404, "not found"),
        ("/api/show", {"model": "nope"}, 404, "not found"),
        ("/api/chat", {"messages": HI}, 400, "model is required"),
        (
            "/api/chat",
            {"model": "tinychat", "messages": HI, "options": {"temperature": "hot"}},
            500,
            "must be of type float32",
        ),
        ("/api/chat", {"model": "tinychat", "messages": HI, "format": "xml"}, 500, "invalid format"),
        ("/v1/chat/completions", {"model": "nope", "messages": HI}, 404, "nope"),
        ("/v1/chat/completions", b"{bad", 400, "not valid JSON"),
        ("/v1/embeddings", {"model": "tinychat", "input": "hi"}, 400, "does not support"),
        ("/api/embed", {"model": "tinychat", "input": "hi"}, 400, "does not support embeddings"),
    ],
)
async def test_it_is_refused_with_what_is_wrong(up: Client, path: str, body: Any, status: int, words: str):
    got, answer = await up.post(path, body)
    assert got == status, answer
    error = answer["error"]
    assert words in (error if isinstance(error, str) else error["message"])


async def test_every_shape_of_trouble_leaves_the_service_and_its_engine_well(shared: LiveService, up: Client):
    engine = await engine_of(shared)
    asked = [
        {"options": {"temperature": -3, "top_k": -9, "num_predict": -7, "repeat_penalty": -1, "seed": -1}},
        {"options": {"temperature": 99, "top_p": 7, "min_p": -1, "presence_penalty": 9}},
        {"options": {"num_ctx": -5}},
        {"format": {"type": "nosuch"}},
        {"images": ["@@@"]},
    ]
    for more in asked:
        status, answer = await up.chat("hi", stream=False, **more)
        assert status < 500, (more, answer)
    assert (await up.chat("count to 3", stream=False))[1]["message"]["content"] == "1, 2, 3"
    await engine.until(running=0, waiting=0)


async def test_twenty_stop_strings_stop(up: Client):
    stops = [f"never{n}" for n in range(19)] + ["7"]
    _, lines = await up.chat("count to 20", options={"stop": stops})
    assert text_of(lines) == "1, 2, 3, 4, 5, 6, "
    assert lines[-1]["done_reason"] == "stop"


async def test_a_prompt_that_is_too_long_is_cut_from_its_beginning_or_refused(up: Client):
    long = "word " * 5000 + "end"
    status, answer = await up.chat(long, stream=False, options={"num_predict": 5})
    assert status == 200
    status, answer = await up.post(
        "/api/chat", {"model": "tinychat", "messages": [{"role": "user", "content": long}], "truncate": False}
    )
    assert status == 400
    assert "context" in answer["error"]


async def test_an_image_for_a_text_model_is_refused(up: Client):
    message = {"role": "user", "content": "what is this?", "images": [PNG]}
    status, answer = await up.post("/api/chat", {"model": "tinychat", "messages": [message]})
    assert status == 400
    assert "image" in answer["error"] or "vision" in answer["error"]


async def test_a_bad_schema_is_a_status_even_for_a_stream(up: Client):
    deep: dict[str, object] = {"type": "string"}
    for _ in range(100):
        deep = {"type": "array", "items": deep}
    status, answer = await up.chat("hi", format=deep)
    assert status == 400, answer
    assert "nested" in answer["error"]


async def test_a_body_over_the_limit_is_refused(service: LiveService):
    service.config["server"] = {"port": 0, "max_body": "64KiB"}
    async with service as up:
        status, answer = await up.chat("x" * 100_000)
        assert status == 413
        assert "max_body" in answer["error"]
        assert (await up.chat("count to 3", stream=False))[0] == 200

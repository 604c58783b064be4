"""A request whose engine is gone before it answered is asked of the next engine, once; its client notices nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.http.scripted import CHAT, EMBED, TEXT, TOKENIZE, Reply
from tests.unit.translate.chunks import chat, sse, text, usage

DONE = b"data: [DONE]\n\n"
GONE = Reply(close=True)
HELLO = [{"role": "user", "content": "Hello"}]
CHATS = [
    *(("/api/chat", {"model": "tinychat", "messages": HELLO, "stream": stream}) for stream in (True, False)),
    *(("/v1/chat/completions", {"model": "tinychat", "messages": HELLO, "stream": stream}) for stream in (True, False)),
    *(
        ("/v1/messages", {"model": "tinychat", "messages": HELLO, "max_tokens": 9, "stream": stream})
        for stream in (True, False)
    ),
    *(("/v1/responses", {"model": "tinychat", "input": "Hello", "stream": stream}) for stream in (True, False)),
    ("/v1/chat/completions", {"model": "tinychat", "messages": HELLO, "n": 2}),
]
ANSWERED = Reply(parts=[sse([chat({"content": "Hi"}), chat({}, "stop"), usage()])])
VECTORS = Reply(
    parts=[orjson.dumps({"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 1}})],
)
TOKENS = Reply(parts=[orjson.dumps({"tokens": [1, 2], "count": 2})])
PIECES = [
    ("/api/embed", {"model": "minilm", "input": "a"}, EMBED, VECTORS),
    ("/api/embeddings", {"model": "minilm", "prompt": "a"}, EMBED, VECTORS),
    ("/v1/embeddings", {"model": "minilm", "input": "a"}, EMBED, VECTORS),
    ("/v1/messages/count_tokens", {"model": "tinychat", "messages": HELLO}, TOKENIZE, TOKENS),
]


@pytest.mark.parametrize(("path", "body"), CHATS)
async def test_a_chat_is_asked_again_of_the_next_engine(server: Any, path: str, body: dict[str, Any]):
    gone = [GONE] * body.get("n", 1)
    server.engine.replies[CHAT] = [*gone, ANSWERED]
    status, answer = await server.post(path, body)
    assert status == 200
    assert b"Hi" in (answer if isinstance(answer, bytes) else orjson.dumps(answer))
    assert b"error" not in (answer if isinstance(answer, bytes) else orjson.dumps(answer)).replace(b'"error":null', b"")
    sent = server.engine.bodies(CHAT)
    assert len(sent) == 2 * len(gone)
    assert sent[0] in sent[1:]


@pytest.mark.parametrize("path", ["/api/generate", "/v1/completions"])
async def test_a_text_is_asked_again_of_the_next_engine(server: Any, path: str):
    server.engine.replies[TEXT] = [GONE, Reply(parts=[sse([text("Hi"), text("", "stop"), usage()])])]
    server.engine.replies[CHAT] = [GONE, ANSWERED]
    status, _ = await server.post(path, {"model": "tinychat", "prompt": "Hello", "raw": True})
    assert status == 200
    assert len(server.engine.requests) == 2


@pytest.mark.parametrize(("path", "body", "asked", "reply"), PIECES)
async def test_what_is_answered_in_one_piece_is_asked_again(
    server: Any, path: str, body: dict[str, Any], asked: str, reply: Reply
):
    server.engine.replies[asked] = [GONE, reply]
    assert (await server.post(path, body))[0] == 200
    assert len(server.engine.bodies(asked)) == 2


@pytest.mark.parametrize(("path", "body"), CHATS)
async def test_it_is_asked_again_only_once(server: Any, path: str, body: dict[str, Any]):
    server.engine.replies[CHAT] = [GONE]
    assert (await server.post(path, body))[0] == 500
    assert len(server.engine.bodies(CHAT)) <= 2 * body.get("n", 1)
    assert all(view.leases == 0 for view in server.engines.snapshot())


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/v1/messages"])
async def test_an_answer_that_has_begun_ends_with_an_error_and_is_not_asked_again(server: Any, path: str):
    server.engine.replies[CHAT] = [
        Reply(parts=[sse([chat({"content": "Hi"})]).removesuffix(DONE)], close=True),
        ANSWERED,
    ]
    body = {"model": "tinychat", "messages": HELLO, "stream": True, "max_tokens": 9}
    status, answer = await server.post(path, body)
    assert status == 200
    assert b"error" in (answer if isinstance(answer, bytes) else orjson.dumps(answer))
    assert len(server.engine.bodies(CHAT)) == 1

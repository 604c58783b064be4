"""A chat template that refuses what it should take: one more try as plain turns, then an error in our words."""

from __future__ import annotations

import pytest

from tests.unit.http.scripted import CHAT, TOKENIZE, Reply, error
from tests.unit.translate.chunks import chat, sse, usage

SAID = "roles must alternate " + "x" * 300
ASK = {
    "model": "tinychat",
    "stream": False,
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": "What now?"},
    ],
}
PLAIN = [{"role": "user", "content": "Be brief.\n\nHello\n\nWhat now?"}]
ANSWER = Reply(parts=[sse([chat({"content": "Hi"}), chat({}, "stop"), usage()])])
RENDERED = Reply(parts=[b'{"tokens":[1,2,3]}'])


async def test_a_refused_conversation_is_sent_again_as_plain_turns(server):
    server.engine.replies[CHAT] = [error(400, SAID), ANSWER]
    server.engine.replies[TOKENIZE] = [error(400, SAID)]
    status, body = await server.post("/api/chat", ASK)
    assert (status, body["message"]["content"]) == (200, "Hi")
    assert [asked["messages"] for asked in server.engine.bodies(CHAT)][1] == PLAIN


async def test_what_is_refused_even_so_is_reported_in_our_words(server):
    server.engine.replies[CHAT] = [error(400, SAID)]
    server.engine.replies[TOKENIZE] = [error(400, SAID)]
    status, body = await server.post("/api/chat", ASK)
    assert status == 400
    assert body["error"].startswith("the model's chat template refuses this conversation: roles must alternate xxx")
    assert "x" * 179 in body["error"]
    assert "x" * 180 not in body["error"]
    assert len(server.engine.bodies(CHAT)) == 2


async def test_a_refusal_for_another_reason_is_no_reason_to_change_the_conversation(server):
    server.engine.replies[CHAT] = [error(400, "temperature is wrong")]
    server.engine.replies[TOKENIZE] = [RENDERED]
    status, _ = await server.post("/api/chat", ASK)
    assert status == 400
    assert len(server.engine.bodies(CHAT)) == 1


async def test_what_was_shortened_can_still_become_plain(server):
    server.engine.replies[CHAT] = [
        error(400, "This model's maximum context length is 9 tokens."),
        error(400, SAID),
        ANSWER,
    ]
    server.engine.replies[TOKENIZE] = [RENDERED, RENDERED, error(400, SAID), RENDERED]
    status, body = await server.post("/api/chat", ASK)
    assert (status, body["message"]["content"]) == (200, "Hi")


async def test_a_prompt_that_stays_too_long_is_not_tried_for_ever(server):
    server.engine.replies[CHAT] = [error(400, "This model's maximum context length is 9 tokens.")]
    server.engine.replies[TOKENIZE] = [RENDERED]
    status, _ = await server.post("/api/chat", ASK)
    assert status == 400
    assert len(server.engine.bodies(CHAT)) == 2


@pytest.mark.parametrize("refused", [1, 2])
async def test_tokens_are_counted_of_the_plain_turns_where_nothing_else_renders(server, refused):
    server.engine.replies[TOKENIZE] = [*[error(400, SAID)] * refused, RENDERED]
    asked = {"model": "tinychat", "system": "Be brief.", "messages": ASK["messages"][1:]}
    status, body = await server.post("/v1/messages/count_tokens", asked)
    if refused == 1:
        assert (status, body) == (200, {"input_tokens": 3})
        assert server.engine.bodies(TOKENIZE)[1]["messages"] == PLAIN
    else:
        assert status == 400
        assert "the model's chat template refuses this conversation" in body["error"]["message"]

"""The sessions of two coding agents: every word that they send is in what the engine is sent."""

from __future__ import annotations

import orjson
import pytest

from tests.clients.agents import CLAUDE_CODE, CODEX, claude_code, codex, marks
from tests.unit.http.scripted import CHAT, TOKENIZE, Reply

REQUESTS = [
    *(("/v1/messages", CLAUDE_CODE | {"messages": messages}) for messages in claude_code()),
    *(("/v1/responses", CODEX | {"input": items}) for items in codex()),
]


@pytest.mark.parametrize(("path", "asked"), REQUESTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_no_word_of_a_session_is_lost(server, path, asked, stream):
    status, reported = await server.post(path, {"model": "tinychat", "stream": stream} | asked)
    assert status == 200, reported
    (sent,) = server.engine.bodies(CHAT)
    assert marks(sent) == marks(asked)
    text = orjson.dumps(sent).decode()
    assert "billing" not in text
    assert "c2VhbGVk" not in text
    assert "gAAAA" not in text


@pytest.mark.parametrize("messages", list(claude_code()))
async def test_the_words_are_counted_as_they_are_sent(server, messages):
    server.engine.replies[TOKENIZE] = [Reply(parts=[b'{"tokens":[1],"count":1}'])]
    asked = {"model": "tinychat"} | CLAUDE_CODE | {"messages": messages}
    assert (await server.post("/v1/messages/count_tokens", asked))[0] == 200
    await server.post("/v1/messages", asked)
    (counted,), (sent,) = server.engine.bodies(TOKENIZE), server.engine.bodies(CHAT)
    assert counted["messages"] == sent["messages"]
    assert counted["tools"] == sent["tools"]


async def test_the_system_prompt_is_the_same_whatever_the_billing_header_says(server):
    for changing in ("0f1e2", "3a4b5"):
        header = f"x-anthropic-billing-header: cc_version=2.1.63.a1b; cc_entrypoint=cli; cch={changing};"
        system = [{"type": "text", "text": header}, *CLAUDE_CODE["system"][1:]]
        asked = CLAUDE_CODE | {"model": "tinychat", "system": system, "messages": next(claude_code())}
        await server.post("/v1/messages", asked)
    first, second = server.engine.bodies(CHAT)
    assert first == second

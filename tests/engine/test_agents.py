"""Whole sessions of two coding agents, by the official clients, over a chat template that refuses what it can."""

from __future__ import annotations

from typing import Any

import anthropic
import openai

from tests.clients.agents import CLAUDE_CODE, CODEX, claude_code, codex, marks

MODEL = "strict"
GREEDY = {"temperature": 0}


async def test_a_session_of_claude_code(strict_url):
    async with anthropic.AsyncAnthropic(base_url=strict_url, auth_token="any", max_retries=0) as client:
        for messages in claude_code():
            asked: dict[str, Any] = {"model": MODEL, "messages": messages} | CLAUDE_CODE
            counting = {key: asked[key] for key in ("model", "messages", "system", "tools", "thinking")}
            counted = await client.messages.count_tokens(**counting, extra_body={"output_config": {"effort": "high"}})
            reported: Any = await client.post("/v1/messages", body=asked | {"_debug_render_only": True}, cast_to=object)
            assert marks(reported["_debug_info"]) == marks(asked)
            output = {"output_config": asked.pop("output_config")}
            async with client.messages.stream(**asked, extra_body=GREEDY | output) as stream:
                final = await stream.get_final_message()
            assert final.stop_reason in {"end_turn", "tool_use", "max_tokens"}
            assert final.usage.input_tokens + (final.usage.cache_read_input_tokens or 0) == counted.input_tokens
        assert final.usage.cache_read_input_tokens  # what the turns before had in common


async def test_a_session_of_codex(strict_url):
    cached: list[int] = []
    async with openai.AsyncOpenAI(base_url=f"{strict_url}/v1", api_key="any", max_retries=0) as client:
        for items in codex():
            asked: dict[str, Any] = {"model": MODEL, "input": items} | CODEX
            reported: Any = await client.post("/responses", body=asked | {"_debug_render_only": True}, cast_to=object)
            assert marks(reported["_debug_info"]) == marks(asked)
            events = [event async for event in await client.responses.create(**asked, stream=True, extra_body=GREEDY)]
            assert events[-1].type == "response.completed"
            final = events[-1].response
            assert final.output
            cached.append(final.usage.input_tokens_details.cached_tokens)
    assert cached[1]  # the last turn brings a late instruction, which this template wants at the front

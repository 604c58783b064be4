"""Models and requests with a Go template, from the request to the answer."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.http.conftest import CHATTER, PLAIN
from tests.unit.http.scripted import CHAT, TEXT, TOKENIZE, Reply, error
from tests.unit.translate import families
from tests.unit.translate.chunks import sse, text, usage
from vllama.models.stored import with_template

ASK = {"model": "tinychat", "prompt": "Hi", "stream": False}
TALK = {"model": "tinychat", "messages": [{"role": "user", "content": "Rain?"}], "stream": False}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def templated(server, template):
    facts = with_template(CHATTER.facts, template)
    server.models.models[CHATTER.name.key] = dataclasses.replace(CHATTER, template=template, facts=facts)


def answering(server, *parts):
    server.engine.replies[TEXT] = [Reply(parts=[sse([*map(text, parts), text("", "stop"), usage()])])]


async def test_a_requests_template_replaces_the_models(server):
    status, body = await server.post(
        "/api/generate", {**ASK, "template": "<{{ .System }}|{{ .Prompt }}>", "system": "S"}
    )
    assert (status, body["response"]) == (200, "Hi")
    assert server.engine.bodies(TEXT)[0]["prompt"] == "<S|Hi>"
    assert not server.engine.bodies(CHAT)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ .Prompt", "template: :1: unclosed action"),
        ("{{ nope }}", 'template: :1: function "nope" not defined'),
        (
            "{{ .Prompt.x }}",
            'template: :1:10: executing "" at <.Prompt.x>: can\'t evaluate field x in type interface {}',
        ),
    ],
)
async def test_a_bad_template_is_reported_in_gos_words(server, template, said):
    assert await server.post("/api/generate", {**ASK, "template": template}) == (500, {"error": said})


async def test_a_template_that_would_never_end_is_stopped_and_the_next_is_served(server):
    status, body = await server.post("/api/generate", {**ASK, "template": "{{ range 1000000000 }}{{ end }}"})
    assert (status, "too many steps" in body["error"]) == (500, True)
    assert (await server.post("/api/generate", ASK))[0] == 200


async def test_a_models_template_renders_its_chats(server):
    templated(server, families.CHATML)
    answering(server, "No", ".")
    _, body = await server.post("/api/chat", TALK)
    assert body["message"] == {"role": "assistant", "content": "No."}
    sent = server.engine.bodies(TEXT)[0]
    assert sent["prompt"] == "<|im_start|>user\nRain?<|im_end|>\n<|im_start|>assistant\n"
    assert "messages" not in sent


async def test_calls_come_apart_by_the_templates_mark(server):
    templated(server, families.QWEN25)
    answering(
        server, "One moment", ' <tool_call>\n{"name": "wea', 'ther", "arguments": {"city": "Oslo"}}', "\n</tool_call>"
    )
    _, lines = await server.post("/api/chat", {**TALK, "tools": [TOOL], "stream": True})
    calls = [line["message"]["tool_calls"] for line in lines if line["message"].get("tool_calls")]
    assert [call["function"] for call in calls[0]] == [{"index": 0, "name": "weather", "arguments": {"city": "Oslo"}}]
    assert "".join(line["message"]["content"] for line in lines) == "One moment "
    assert lines[-1]["done_reason"] == "stop"


async def test_thinking_comes_apart_by_the_templates_tags(server):
    templated(server, families.DEEPSEEK_R1)
    answering(server, "<think>\nHm.", "\n</think>\n\nNo.")
    _, body = await server.post("/api/chat", TALK)
    assert body["message"] == {"role": "assistant", "content": "No.", "thinking": "Hm.\n"}


async def test_what_the_template_can_not_is_refused(server):
    templated(server, families.CHATML)
    status, body = await server.post("/api/chat", {**TALK, "tools": [TOOL]})
    assert (status, body["error"]) == (400, "registry.ollama.ai/library/tinychat:latest does not support tools")
    status, body = await server.post("/api/chat", {**TALK, "think": True})
    assert (status, body["error"]) == (400, '"tinychat" does not support thinking')


async def test_a_suffix_goes_through_the_models_template(server):
    templated(server, families.QWEN25)
    await server.post("/api/generate", {**ASK, "prompt": "a", "suffix": "b"})
    assert server.engine.bodies(TEXT)[0]["prompt"] == "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"


async def test_a_model_without_any_template_is_given_the_bare_text(server):
    bare = dataclasses.replace(PLAIN, facts=dataclasses.replace(PLAIN.facts, chat_template=None))
    server.models.models[PLAIN.name.key] = bare
    await server.post("/api/chat", {**TALK, "model": "plainchat"})
    assert server.engine.bodies(TEXT)[0]["prompt"] == "Rain?"


async def test_old_turns_go_when_the_rendered_history_is_too_long(server):
    templated(server, families.CHATML)
    counts = {"user": 0}

    def count(body):
        counts["user"] = body["prompt"].count("<|im_start|>user")
        return Reply(parts=[b'{"tokens":%s}' % str(list(range(1000 * counts["user"]))).encode()])

    server.engine.replies[TOKENIZE] = [count]
    server.engine.replies[TEXT] = [
        error(400, "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens"),
        Reply(parts=[sse([text("Yes"), text("", "stop"), usage()])]),
    ]
    turns = [{"role": role, "content": f"{role} {n}"} for n in range(3) for role in ("user", "assistant")][:-1]
    _, body = await server.post("/api/chat", {**TALK, "messages": turns})
    assert body["message"]["content"] == "Yes"
    assert server.engine.bodies(TEXT)[-1]["prompt"].count("<|im_start|>user") == 1

"""Answers in a form are as good as free ones, on real vLLM: two models, every dialect, and blanks that end."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client
from tests.installed_engine import installed_engine
from vllama.engine import command
from vllama.translate.schemas.grammars import MOST_BLANKS

FACTS = "Anna is 31 years old and likes tea and chess. Extract the facts as JSON."
TEXT = {"type": "string"}
PERSON = {
    "type": "object",
    "properties": {"name": TEXT, "age": {"type": "integer"}, "likes": {"type": "array", "items": TEXT}},
    "required": ["name", "age", "likes"],
}
COUNTRY = {
    "type": "object",
    "properties": {"country": TEXT, "capital": {"type": "string", "minLength": 1, "pattern": "^[A-Z]"}},
    "required": ["country", "capital"],
}
FRANCE = {"country": "France", "capital": "Paris"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city"}},
            "required": ["city"],
        },
    },
}


async def said(client: Client, text: str, **more: Any) -> str:
    """The whole answer to one greedy question."""
    options = {"num_predict": 200, **more.pop("options", {})}
    body = {"messages": [{"role": "user", "content": text}], "stream": False, "options": {"temperature": 0, **options}}
    status, answer = await client.post("/api/chat", body | more)
    assert status == 200, answer
    content: str = answer["message"]["content"]
    return content


def first_json(text: str) -> Any:
    """What a reader takes from an answer that may go on behind it."""
    return json.JSONDecoder().raw_decode(text.strip())[0]


def assert_blanks_end(text: str) -> None:
    between = re.sub(r'"(?:[^"\\]|\\.)*"?', '""', text)
    assert re.search(rf"\s{{{MOST_BLANKS + 1}}}", between) is None, text


async def test_facts_come_out_as_the_model_would_write_them(smol):
    answer = await said(smol, FACTS, model="smollm2", format=PERSON)
    assert json.loads(answer) == {"name": "Anna", "age": 31, "likes": ["tea", "chess"]}
    assert "\n" in answer  # as it has learnt to write


async def test_json_mode_says_what_the_free_answer_says(smol):
    free = await said(smol, FACTS, model="smollm2")
    form = await said(smol, FACTS, model="smollm2", format="json")
    assert json.loads(form) == first_json(free)
    assert free.startswith(form)


async def test_blanks_never_run_on_without_end(smol):
    """All at once: a model of this size computes them together as fast as one."""
    questions = ("What is the capital of France? Answer as JSON.", "Say nothing.", " \n \n \n ")
    forms: tuple[Any, ...] = ("json", PERSON, {"type": "array", "items": {}}, {})
    asked = (said(smol, question, model="smollm2", format=form) for question in questions for form in forms)
    for answer in await asyncio.gather(*asked):
        assert_blanks_end(answer)


async def test_tinychat_says_the_same_free_and_in_every_form_on_every_route(up):
    question = "Describe France as JSON."
    free = json.loads(await said(up, question, model="tinychat", think=False))
    assert free == FRANCE
    for form in ("json", COUNTRY, {}):
        for think in (False, True):
            assert json.loads(await said(up, question, model="tinychat", think=think, format=form)) == free
    messages = [{"role": "user", "content": question}]
    named = {"name": "x", "schema": COUNTRY}
    chat = {"model": "tinychat", "messages": messages, "temperature": 0, "reasoning_effort": "none", "max_tokens": 99}
    for wanted in ({"type": "json_object"}, {"type": "json_schema", "json_schema": named}):
        _, answer = await up.post("/v1/chat/completions", chat | {"response_format": wanted})
        assert json.loads(answer["choices"][0]["message"]["content"]) == free
    message = {"model": "tinychat", "messages": messages, "temperature": 0, "max_tokens": 99}
    message |= {
        "output_config": {"format": {"type": "json_schema", "schema": COUNTRY}},
        "thinking": {"type": "disabled"},
    }
    _, answer = await up.post("/v1/messages", message)
    assert json.loads(answer["content"][-1]["text"]) == free
    for wanted in ({"type": "json_object"}, {"type": "json_schema", **named}):
        body = {"model": "tinychat", "input": question, "temperature": 0, "text": {"format": wanted}}
        _, answer = await up.post("/v1/responses", body | {"reasoning": {"effort": "none"}})
        assert json.loads(answer["output"][-1]["content"][0]["text"]) == free


@pytest.mark.parametrize("form", ["json", COUNTRY])
async def test_tinychat_never_writes_blanks_without_end(up, form):
    for question in ("Tell me something.", FACTS):
        assert_blanks_end(await said(up, question, model="tinychat", think=False, format=form))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_a_call_is_the_same_whether_it_must_be_made_or_not(up, choice, strict):
    tool = {**WEATHER, "function": {**WEATHER["function"], "strict": strict}}
    body = {"model": "tinychat", "temperature": 0, "reasoning_effort": "none", "tools": [tool], "tool_choice": choice}
    asked = body | {"messages": [{"role": "user", "content": "What is the weather in Paris?"}], "max_tokens": 99}
    _, answer = await up.post("/v1/chat/completions", asked)
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("get_weather", {"city": "Paris"})


def test_the_engine_takes_the_plugin_and_its_tools_have_bounded_blanks():
    plugin = Path(command.__file__).with_name("tool_blanks.py")
    script = Path(__file__).with_name("tool_blanks_in_vllm.py")
    argv = [str(installed_engine().python), str(script), str(plugin)]
    environ = {"PATH": "/usr/bin:/bin", "VLLM_TARGET_DEVICE": "cpu", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    plain, native = json.loads(done.stdout.splitlines()[-1])
    assert "<tool_call>" in native
    assert "<tool_call>" not in plain
    for tag in (plain, native):
        assert f'"max_whitespace_cnt": {MOST_BLANKS}' in tag
        assert '"max_whitespace_cnt": null' not in tag

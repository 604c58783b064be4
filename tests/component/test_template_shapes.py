"""Every template shape, asked in every dialect with what agents send: rendered by Jinja, nothing is refused or lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import jinja2
import jinja2.sandbox
import pytest

from tests.templates.shapes import SHAPES, Shape
from tests.unit.translate.models import model
from vllama.models.model import Model
from vllama.translate.anthropic.requests import read_messages
from vllama.translate.conversation.template_shapes import TemplateShapes
from vllama.translate.engine.requests import chat_prompt, conversation
from vllama.translate.engine.template_trials import trials
from vllama.translate.openai.requests import read_chat
from vllama.translate.pieces import ChatCall, Message
from vllama.translate.responses.requests import read_responses

WHERE = {"type": "object", "properties": {"at": {"type": "string"}}}
TOOL = {"name": "look", "description": "Looks.", "parameters": WHERE}
PARTS = "content in parts"


def renderer(shape: Shape, *, parts: bool) -> Callable[[dict[str, Any]], str | None]:
    """Renders the fields of ``/tokenize`` as vLLM does; None: the template raised."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)

    def refuse(said: str) -> None:
        raise jinja2.TemplateError(said)

    environment.globals["raise_exception"] = refuse
    environment.filters["tojson"] = json.dumps
    template = environment.from_string(shape.template)

    def render(body: dict[str, Any]) -> str | None:
        messages = []
        for message in body["messages"]:
            calls = [
                {"function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])}}
                for call in message.get("tool_calls", ())
            ]
            content = [{"type": "text", "text": message["content"]}] if parts and message["role"] != "tool" else None
            messages.append({**message, "content": content or message["content"], "tool_calls": calls})
        fields = {"add_generation_prompt": True, **body.get("chat_template_kwargs", {})}
        try:
            return template.render(messages=messages, tools=body.get("tools"), **fields)
        except jinja2.TemplateError:
            return None

    return render


def found(asked: Model, render: Callable[[dict[str, Any]], str | None]) -> TemplateShapes:
    asking = trials(asked)
    try:
        body = next(asking)
        while True:
            body = asking.send(render(body))
    except StopIteration as end:
        return end.value


def native(*turns: dict[str, Any]) -> ChatCall:
    return ChatCall(tuple(Message(turn["role"], turn["content"]) for turn in turns))


def openai(*turns: dict[str, Any], **more: Any) -> ChatCall:
    return read_chat(json.dumps({"model": "x", "messages": turns, **more}).encode()).call


def anthropic(*turns: dict[str, Any], **more: Any) -> ChatCall:
    return read_messages(json.dumps({"model": "x", "max_tokens": 9, "messages": turns, **more}).encode()).call


def responses(*items: dict[str, Any], **more: Any) -> ChatCall:
    return read_responses(json.dumps({"model": "x", "input": items, **more}).encode()).call


def say(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def called(*ids: str, content: str | None = None) -> dict[str, Any]:
    function = {"name": "look", "arguments": '{"at": "qzargs"}'}
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"id": id_, "type": "function", "function": function} for id_ in ids],
    }


def result(id_: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": text}


FUNCTION = [{"type": "function", "function": TOOL}]
ASKED = {
    "two systems": lambda: native(say("system", "qza"), say("system", "qzb"), say("user", "qzc")),
    "late system": lambda: native(
        say("user", "qza"), say("assistant", "qzb"), say("system", "qzc"), say("user", "qzd")
    ),
    "system at the end": lambda: native(say("user", "qza"), say("assistant", "qzb"), say("system", "qzc")),
    "two users": lambda: native(say("user", "qza"), say("user", "qzb")),
    "greeting": lambda: native(say("system", "qza"), say("assistant", "qzb"), say("user", "qzc")),
    "only a system": lambda: native(say("system", "qza")),
    "to be continued": lambda: native(say("user", "qza"), say("assistant", "qzb")),
    "a role of its own": lambda: native(say("narrator", "qza"), say("user", "qzb")),
    "developer": lambda: openai(say("system", "qza"), say("developer", "qzb"), say("user", "qzc")),
    "parts": lambda: openai(say("user", [{"type": "text", "text": "qza"}, {"type": "text", "text": "qzb"}])),
    "tools": lambda: openai(
        *(say("system", "qza"), say("user", "qzb"), called("a", content="qzc"), result("a", "qzd"), say("user", "qze")),
        tools=FUNCTION,
    ),
    "two calls": lambda: openai(
        *(say("user", "qza"), called("a", "b"), result("a", "qzb"), result("b", "qzc"), say("system", "qzd")),
        tools=FUNCTION,
    ),
    "blocks": lambda: anthropic(
        say("user", [{"type": "text", "text": "qza"}]),
        say("assistant", [{"type": "tool_use", "id": "a", "name": "look", "input": {"at": "qzargs"}}]),
        say(
            "user",
            [{"type": "tool_result", "tool_use_id": "a", "content": "qzb"}, {"type": "text", "text": "qzc"}],
        ),
        system=[{"type": "text", "text": "qzd"}, {"type": "text", "text": "qze"}],
        tools=[{"name": "look", "input_schema": WHERE}],
        output_config={"effort": "high"},
    ),
    "items": lambda: responses(
        *(say("developer", "qza"), say("user", "qzb"), say("user", "qzc")),
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": '{"at": "qzargs"}'},
        {"type": "function_call_output", "call_id": "a", "output": "qzd"},
        instructions="qze",
        tools=[{"type": "function", **TOOL}],
        reasoning={"effort": "xhigh"},
    ),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("case", ASKED)
def test_it_renders_with_every_word(name, case):
    shape = SHAPES[name]
    render = renderer(shape, parts=name == PARTS)
    capabilities = ("completion", "thinking", *(["tools"] if shape.tools else []))
    asked = model(capabilities=capabilities, chat_template=shape.template)
    call = ASKED[case]()
    if not shape.tools:
        call = ChatCall(call.messages, think=call.think)
    text = render(chat_prompt(call, conversation(asked, call.messages), asked, found(asked, render)))
    assert text is not None
    said = [word for message in call.messages for word in re.findall(r"qz\w+", message.content)]
    said += [str(one.arguments["at"]) for message in call.messages for one in message.tool_calls]
    assert [word for word in said if word not in text] == []
    assert not call.tools or "Looks." in text or '"look"' in text


@pytest.mark.parametrize("name", ["strict", "levels low, medium, xhigh"])
@pytest.mark.parametrize(
    ("asked_for", "given"), [("minimal", "low"), ("medium", "medium"), ("high", "xhigh"), ("max", "xhigh")]
)
def test_a_level_becomes_the_nearest_that_the_template_takes(name, asked_for, given):
    shape = SHAPES[name]
    asked = model(capabilities=("completion", "thinking"), chat_template=shape.template)
    shapes = found(asked, renderer(shape, parts=False))
    call = openai(say("user", "Hi"), reasoning_effort=asked_for)
    assert chat_prompt(call, call.messages, asked, shapes)["chat_template_kwargs"]["reasoning_effort"] == given


def test_each_shape_needs_its_own_help():
    """The table is of templates that refuse something, or lose a word, of what tinychat's own takes."""
    for name, shape in SHAPES.items():
        render = renderer(shape, parts=name == PARTS)
        asked = model(capabilities=("completion", "tools", "thinking"), chat_template=shape.template)
        assert found(asked, render) != TemplateShapes(other_roles=False), name

"""Everything that reads what a client or a model wrote takes as long as there is to read, and no longer."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from functools import partial

import pytest

from tests.unit.growth import grows_linearly
from vllama.durations import read_go_duration
from vllama.errors import BadRequest
from vllama.jsontext import encode
from vllama.models.names import parse_name
from vllama.templates import TemplateError
from vllama.templates.model_template import read_template
from vllama.templates.parser import _parse  # what is remembered takes no time
from vllama.templates.quoting import go_quote
from vllama.translate.anthropic.requests import read_messages
from vllama.translate.bounds import check_schema
from vllama.translate.conversation.open_calls import OpenCalls
from vllama.translate.decoding import decode
from vllama.translate.engine.thinking import ThinkingSplitter
from vllama.translate.images import check_base64
from vllama.translate.ollama.requests import ChatRequest
from vllama.translate.openai.requests import read_chat
from vllama.translate.passages import without_billing
from vllama.translate.pieces import Message, Tags
from vllama.translate.prompts.call_scanner import CallScanner
from vllama.translate.prompts.rendering import merged, render_chat, without_old_thinking
from vllama.translate.prompts.tagged_text import TaggedText
from vllama.translate.responses.requests import read_responses
from vllama.translate.schemas.patterns import written_out


def repeated(text):
    return lambda size: text * size


def tried(work, *errors):
    def run(given):
        with suppress(BadRequest, *errors):
            work(given)

    return run


def body(before, item, after=b"]}"):
    return lambda size: before + b",".join([item] * size) + after


def fed(make, piece):
    """Feed a text by small pieces, as a model writes it."""

    def run(size):
        reader = make()
        for _ in range(size):
            reader.feed(piece)
        if hasattr(reader, "end"):
            reader.end()

    return run


def answered(size):
    calls = OpenCalls()
    for number in range(size):
        calls.add(str(number), f"f{number % 7}")
    for number in range(size):
        calls.answered(Message("tool", "x", tool_name=f"f{number % 5}"))


def declared(size):
    return "".join(f"{{{{$v{number} := 1}}}}" for number in range(size)) + "{{$v0}}" * size


TOOLS = [f"{'n' * 200}{number}" for number in range(8)]
TODAY = date(2026, 3, 1)
CASES = {
    "a pattern that is not closed": (repeated("["), written_out, 20_000),
    "a pattern of classes": (repeated("[]"), written_out, 10_000),
    "a pattern of counts": (repeated("(a{2})"), written_out, 2_000),
    "a schema's pattern": (lambda size: {"pattern": "[" * size}, tried(check_schema), 20_000),
    "a reference": (lambda size: {"$ref": "#" + "/a" * size}, tried(check_schema), 20_000),
    "a duration": (repeated("0s"), read_go_duration, 80_000),
    "base64": (repeated("QUJD"), check_base64, 200_000),
    "base64 with breaks": (repeated("QUJD\r\n"), check_base64, 100_000),
    "base64 with a fault at its end": (lambda size: "QUJD\n" * size + "!", tried(check_base64, ValueError), 50_000),
    "a text that is quoted": (repeated('"\\\u2028é\x00'), go_quote, 5_000),
    "a text that is escaped": (repeated("<&>\u2028"), encode, 50_000),
    "a name": (repeated("a:b/"), parse_name, 20_000),
    "neighbouring turns": (lambda size: [Message("user", "x" * 400)] * size, merged, 2_000),
    "old thoughts": (lambda size: [Message("assistant", "<think>a</think>b")] * size, without_old_thinking, 500),
    "results without an id": (lambda size: size, answered, 3_000),
    "a billing header again and again": (repeated("x-anthropic-billing-header:\n"), without_billing, 5_000),
    "a template of variables": (declared, tried(_parse, TemplateError), 500),
    "a template of actions": (repeated("{{.A}}"), _parse, 1_000),
    "a template that is not closed": (repeated('{{"'), tried(_parse, TemplateError), 5_000),
    "a template's conversation": (
        lambda size: [Message(("user", "assistant")[number % 2], "x" * 50) for number in range(size)],
        lambda turns: render_chat(
            read_template("{{range .Messages}}{{.Role}}: {{.Content}}{{end}}"), turns, today=TODAY
        ),
        500,
    ),
    "a template of turns": (
        lambda size: [Message(("user", "assistant")[number % 2], "x" * 50) for number in range(size)],
        lambda turns: render_chat(read_template("{{.System}}{{.Prompt}}{{.Response}}"), turns, today=TODAY),
        300,
    ),
    "what a model writes where a call may come": (
        lambda size: size,
        fed(lambda: CallScanner(TOOLS), "{}} and more words that name no tool"),
        1_500,
    ),
    "an object that a model never closes": (lambda size: size, fed(lambda: CallScanner(TOOLS), '{"a": ['), 2_000),
    "an answer in tags": (
        lambda size: size,
        fed(lambda: TaggedText(Tags(("<think>", "</think>"), tools=("f",))), " <think> {"),
        2_000,
    ),
    "thoughts": (lambda size: size, fed(lambda: ThinkingSplitter(inside=True), "a </thin"), 2_000),
    "a body that is cut off": (repeated(b'{"a":['), tried(partial(decode, of=ChatRequest)), 2_000),
    "unknown members": (
        lambda size: b"{" + b",".join(b'"k%d":1' % number for number in range(size)) + b"}",
        partial(decode, of=ChatRequest),
        5_000,
    ),
    "a long key": (lambda size: ('{"' + "é" * size + '":1}').encode(), partial(decode, of=ChatRequest), 50_000),
    "OpenAI's messages": (
        body(b'{"model":"m","messages":[', b'{"role":"user","content":[{"type":"text","text":"a"}]}'),
        read_chat,
        500,
    ),
    "Anthropic's messages": (
        body(b'{"model":"m","max_tokens":9,"messages":[', b'{"role":"user","content":"a"}'),
        read_messages,
        500,
    ),
    "Responses' thoughts and calls": (
        body(
            b'{"model":"m","input":[',
            b'{"type":"reasoning","encrypted_content":"%b"},' % (b"t " * 200)
            + b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}',
        ),
        read_responses,
        400,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_twice_as_much_takes_twice_as_long(case):
    make, work, size = CASES[case]
    assert grows_linearly(make, work, size)

from __future__ import annotations

import json
import math

import pytest

from vllama.errors import BadRequest
from vllama.translate.decoding import decode
from vllama.translate.ollama.requests import ChatRequest, CreateRequest, DeleteRequest, GenerateRequest
from vllama.translate.pieces import Message, ToolCall


def chat(**fields: object) -> ChatRequest:
    return decode(json.dumps(fields).encode(), ChatRequest)


def refused(**fields: object) -> str:
    with pytest.raises(BadRequest) as caught:
        chat(**fields)
    return caught.value.message


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, None),
        (0, 0),
        ("0", 0),
        (90, 90),
        (1.5, 1.5),
        ("1h30m", 5400),
        ("5m", 300),
        (-1, math.inf),
        ("-1s", math.inf),
        (1e300, math.inf),
        (1e-12, 0),
        ("0.1ns", 0),
    ],
)
def test_keep_alive_is_a_duration_or_seconds(given, seconds):
    assert chat(keep_alive=given).keep_alive == seconds


@pytest.mark.parametrize("given", ["", "5", "abc", "1d", "5 m", "--5m", ".", "9999999999h"])
def test_other_texts_are_no_keep_alive(given):
    assert refused(keep_alive=given).startswith(f'keep_alive: invalid duration "{given}"')


@pytest.mark.parametrize(("given", "kind"), [(False, "bool"), ([], "[]interface {}"), ({}, "map[string]interface {}")])
def test_other_types_are_no_keep_alive(given, kind):
    assert refused(keep_alive=given) == f"Unsupported type: '{kind}'"


@pytest.mark.parametrize("think", [None, True, False, "high", "medium", "low", "max"])
def test_think_is_a_switch_or_a_level(think):
    assert chat(think=think).think == think


@pytest.mark.parametrize("think", ["High", "true", ""])
def test_other_levels_are_refused(think):
    choices = '"high", "medium", "low", "max", true, or false'
    assert refused(think=think) == f'invalid think value: "{think}" (must be {choices})'


def test_a_number_is_no_way_to_think():
    assert refused(think=1).startswith("think must be a boolean or string")


def test_turns_are_messages_of_all_dialects():
    call = {"id": "c", "function": {"index": 1, "name": "f", "arguments": {"a": 1}}}
    turn = {"role": "ASSISTANT", "content": "x", "thinking": "y", "images": ["", "QUJD"], "tool_calls": [call]}
    message = Message("assistant", "x", "y", ("QUJD",), (ToolCall("c", 1, "f", {"a": 1}),))
    assert chat(messages=[turn]).turns() == (message,)


def test_arguments_of_a_call_are_an_object():
    call = {"function": {"name": "f", "arguments": "{}"}}
    text = refused(messages=[{"tool_calls": [call]}])
    assert text == "messages[0].tool_calls[0].function.arguments: expected an object, got a string"


def test_streams_and_cuts_are_the_default():
    asked = chat()
    assert (asked.stream, asked.truncate, asked.shift) == (True, True, True)
    assert not chat(stream=False).stream


def test_a_context_may_be_far_longer_than_a_list_of_fields():
    body = json.dumps({"context": list(range(262_144))}).encode()
    assert len(decode(body, GenerateRequest).context) == 262_144


def test_older_clients_call_a_model_name():
    assert decode(b'{"name":"x"}', DeleteRequest).typed == "x"
    assert decode(b'{"name":"x","model":"y"}', DeleteRequest).typed == "y"


def test_a_model_is_made_from_another_or_of_files():
    asked = decode(b'{"from":"x","files":{}}', CreateRequest)
    assert (asked.base, asked.files) == ("x", {})
    assert decode(b"{}", CreateRequest).files is None
    with pytest.raises(BadRequest, match=r"^files\.a: expected a string, got a number$"):
        decode(b'{"files":{"a":1}}', CreateRequest)

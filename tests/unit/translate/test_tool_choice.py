from __future__ import annotations

from typing import Any

import pytest

from vllama.translate.tool_choice import chosen, functions


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {}}}


F, G = tool("f"), tool("g")
THE_F = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("any", "required"),
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, THE_F),
        ({"type": "function", "name": "f"}, THE_F),
        (THE_F, THE_F),
        ("f", THE_F),
        # what means nothing here is ignored, as Ollama ignores the field
        ("", None),
        ("bogus", None),
        ({"type": "function", "function": {"name": "nobody"}}, None),
        ({"type": "function", "function": "f"}, None),
        ({"type": "web_search_preview"}, None),
        ({"type": ["auto"]}, None),
        ({"type": "allowed_tools"}, None),
        ({}, None),
        (5, None),
        ([], None),
    ],
)
def test_every_way_to_choose(choice, sent):
    assert chosen(choice, (F, G)) == (sent, (F, G))


@pytest.mark.parametrize(("mode", "sent"), [("auto", "auto"), ("required", "required"), ("bogus", None), (None, None)])
def test_allowed_tools_are_all_that_is_offered(mode, sent):
    of_chat = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [THE_F, {"type": "mcp"}, 5]}}
    of_responses = {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": "f"}]}
    assert chosen(of_chat, (F, G)) == (sent, (F,))
    assert chosen(of_responses, (F, G)) == (sent, (F,))


def test_where_no_tool_is_left_nothing_is_chosen():
    nothing = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}
    assert chosen(nothing, (F, G)) == (None, ())
    assert chosen("required", ()) == (None, ())


def test_tools_that_a_server_runs_are_left_out_and_flat_ones_understood():
    flat = {"type": "function", "name": "f", "parameters": {}, "strict": None}
    odd = {"type": "custom", "function": {"name": "g"}}
    nameless = {"type": "function"}
    assert functions([{"type": "web_search"}, flat, odd, {}, nameless]) == (F, odd, {}, nameless)

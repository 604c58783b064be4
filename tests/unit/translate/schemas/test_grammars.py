"""What of a call the engine makes grammars of."""

from __future__ import annotations

import pytest

from vllama.translate.pieces import ChatCall, Message, TextCall
from vllama.translate.schemas.grammars import enforceable, shown

USER = Message("user", "Hi")
UNIQUE = {
    "type": "object",
    "properties": {"days": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}},
}
PLAIN = {"type": "object", "properties": {"city": {"type": "string", "description": "A city."}}, "required": ["city"]}


def tool(name: str, parameters: object, **more: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


@pytest.mark.parametrize("kind", [ChatCall, TextCall])
def test_a_format_is_prepared_and_what_it_lost_is_named(kind):
    text = (USER,) if kind is ChatCall else "Hi"
    call, ignored = enforceable(kind(text, format={"type": "STRING", "format": "color"}))
    assert call.format == {"type": "string"}
    assert ignored == ("format",)
    for wanted in (None, "", "json"):
        same = kind(text, format=wanted)
        assert enforceable(same) == (same, ())


def test_tools_of_which_no_grammar_is_made_stay_as_they_are():
    for choice in (None, "auto", "none"):
        call = ChatCall((USER,), tools=(tool("a", UNIQUE),), tool_choice=choice)
        assert enforceable(call) == (call, ())


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "a"}}])
def test_forced_tools_get_parameters_that_a_grammar_holds(choice):
    tools = (tool("a", UNIQUE), tool("b", PLAIN), tool("c", None), {"type": "function"})
    call, ignored = enforceable(ChatCall((USER,), tools=tools, tool_choice=choice))
    assert ignored == ("uniqueItems",)
    assert call.tools == tools  # what the model is shown
    assert "uniqueItems" not in str(call.enforced_tools)
    assert call.enforced_tools[1] == tools[1]  # one that the engine takes stays, with its descriptions


def test_strict_tools_do_so_whatever_the_choice():
    call, ignored = enforceable(ChatCall((USER,), tools=(tool("a", UNIQUE, strict=True), tool("b", UNIQUE))))
    assert ignored == ("uniqueItems",)
    assert "uniqueItems" not in str(call.enforced_tools[0])
    assert call.enforced_tools[1] == tool("b", UNIQUE)


def test_definitions_of_several_tools_never_share_a_name():
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    call, _ = enforceable(ChatCall((USER,), tools=(tool("a", tree), tool("b", tree)), tool_choice="required"))
    one, other = (made["function"]["parameters"]["$defs"] for made in call.enforced_tools)
    assert not set(one) & set(other)


def test_a_template_is_shown_tools_as_the_engine_would_write_them():
    given = tool("a", PLAIN, more=1, strict=None)
    assert shown([given]) == [
        {"type": "function", "function": {"name": "a", "description": None, "parameters": PLAIN}},
    ]


@pytest.mark.parametrize(
    "more", [{}, {"parameters": None}, {"parameters": {}}, {"parameters": {"type": "object"}, "strict": False}]
)
def test_the_arguments_of_a_call_that_must_be_made_are_an_object(more):
    tools = ({"type": "function", "function": {"name": "f", **more}},)
    call, _ = enforceable(ChatCall((USER,), tools=tools, tool_choice="required"))
    assert call.enforced_tools == ({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},)
    assert call.tools == tools
    assert enforceable(ChatCall((USER,), tools=tools))[0].enforced_tools is None

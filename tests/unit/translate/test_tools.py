from __future__ import annotations

import pytest

from vllama.translate.decoding import Body, WrongShape, read
from vllama.translate.tools import Tools, check_parameters


class Asked(Body):
    tools: Tools = ()


def tools(*parameters: object) -> list[object]:
    return [{"type": "function", "function": {"name": "f", "parameters": one}} for one in parameters]


def test_tools_are_handed_on_as_they_were_written():
    given = tools(
        {"type": "object", "Properties": {"a": {"type": "string", "x-own": 1}}, "additionalProperties": False}
    )
    assert read({"tools": given}, Asked).tools == tuple(given)


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        True,
        [],
        {"type": ["object", "null"]},
        {"properties": []},
        {"properties": {"a": True, "b": None, "c": {"required": True, "type": [None, "string"]}}},
        {"properties": {"a": {"anyOf": [{"properties": {"b": {"enum": [1, None]}}}, True]}}},
        {"required": False},
    ],
)
def test_what_json_schema_allows_is_taken(parameters):
    assert read({"tools": tools(parameters)}, Asked).tools
    check_parameters(parameters)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ("x", "tools[0].function.parameters: expected an object, got a string"),
        ({"type": 5}, "tools[0].function.parameters.type: expected a string or a list of strings, got a number"),
        ({"properties": "x"}, "tools[0].function.parameters.properties: expected an object, got a string"),
        ({"required": ["a", 1]}, "tools[0].function.parameters.required[1]: expected a string, got a number"),
        (
            {"properties": {"a": {"anyOf": [{}, {"description": 5}]}}},
            "tools[0].function.parameters.properties.a.anyOf[1].description: expected a string, got a number",
        ),
    ],
)
def test_a_wrong_schema_is_named_with_its_place(parameters, text):
    with pytest.raises(WrongShape) as caught:
        read({"tools": tools(parameters)}, Asked)
    assert str(caught.value) == text
    with pytest.raises(WrongShape):
        check_parameters(parameters)

"""Schemas for the grammar: what is enforced, what is left out, and that nothing else comes out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.odd_schemas import ODD, TEXT, obj, schemas
from vllama.errors import BadRequest
from vllama.translate.schemas.preparing import prepare
from vllama.translate.schemas.values import FORMATS

WORDS = {
    "object": {"properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"pattern", "format", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "integer": {"minimum", "maximum"},
    "boolean": set[str](),
    "null": set[str](),
}


def assert_plain(schema: Any, names: set[str]) -> None:
    """One of the few forms that the grammar holds exactly."""
    if schema == {}:
        return
    if set(schema) == {"anyOf"}:
        assert len(schema["anyOf"]) > 1
        for branch in schema["anyOf"]:
            assert_plain(branch, names)
    elif set(schema) == {"$ref"}:
        assert schema["$ref"].removeprefix("#/$defs/") in names
    elif set(schema) == {"enum"}:
        assert schema["enum"]
    else:
        kind = schema["type"]
        assert set(schema) - {"type"} <= WORDS[kind]
        assert not ("pattern" in schema or "format" in schema) or not {"minLength", "maxLength"} & set(schema)
        assert schema.get("format", "date") in FORMATS
        assert set(schema.get("required", ())) <= set(schema.get("properties", {}))
        parts = [*schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]
        parts += [*schema.get("prefixItems", ())]
        parts += [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
        for part in parts:
            assert_plain(part, names)


@pytest.mark.parametrize(("schema", "ignored"), ODD.values(), ids=ODD.keys())
def test_odd_schemas_are_taken_and_what_is_not_enforced_is_named(schema, ignored):
    prepared = prepare(schema)
    assert set(prepared.ignored) == set(ignored)
    assert len(prepared.ignored) == len(set(prepared.ignored))
    definitions = prepared.schema.pop("$defs", {})
    for part in (prepared.schema, *definitions.values()):
        assert_plain(part, set(definitions))


@given(schemas())
def test_any_schema_becomes_a_plain_one(schema):
    prepared = prepare(schema)
    definitions = prepared.schema.pop("$defs", {})
    for part in (prepared.schema, *definitions.values()):
        assert_plain(part, set(definitions))
    assert len(", ".join(prepared.ignored)) < 600


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"], "maxLength": 3}, {"anyOf": [{**TEXT, "maxLength": 3}, {"type": "null"}]}),
        ({"type": "STRING", "minLength": "3"}, {**TEXT, "minLength": 3}),
        ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, {"type": "number", "exclusiveMinimum": 3}),
        ({"type": "integer", "exclusiveMinimum": 1.5, "maximum": 9}, {"type": "integer", "minimum": 2, "maximum": 9}),
        (
            {"allOf": [{"minLength": 1}, {"type": "string", "maxLength": 9}, {"minLength": 3}]},
            {**TEXT, "minLength": 3, "maxLength": 9},
        ),
        ({"allOf": [TEXT, {"enum": ["yes", 1]}]}, {"enum": ["yes"]}),
        ({"const": 5}, {"enum": [5]}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"enum": ["a", None]}),
        (
            {"type": "array", "items": [TEXT], "additionalItems": False},
            {"type": "array", "prefixItems": [TEXT], "items": False},
        ),
        ({"type": "array", "items": False}, {"type": "array", "maxItems": 0}),
        (
            {"type": "object", "properties": {"a": {"type": "string", "required": True}, "b": False}},
            {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
        ),
        (
            {"type": "object", "propertyNames": {"enum": ["x"]}, "additionalProperties": TEXT},
            {"type": "object", "properties": {"x": TEXT}, "additionalProperties": False},
        ),
        (
            {"type": "object", "properties": {"a": TEXT}, "anyOf": [{"required": ["a"]}, {"required": ["c"]}]},
            {
                "anyOf": [
                    {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
                    {"type": "object", "properties": {"a": TEXT, "c": {}}, "required": ["c"]},
                ]
            },
        ),
        (obj(title="x", description="y"), obj()),
    ],
)
def test_what_can_be_enforced_is_said_in_plain_words(schema, expected):
    assert prepare(schema).schema == expected
    assert prepare(schema).ignored == ()


def test_the_largest_lengths_go_where_they_are_too_many():
    lengths = (5, 255, *range(2_000, 2_008))
    prepared = prepare({"type": "array", "prefixItems": [{**TEXT, "maxLength": i} for i in lengths]})
    kept = [item.get("maxLength") for item in prepared.schema["prefixItems"]]
    assert kept == [5, 255, 2_000, 2_001, 2_002, 2_003, None, None, None, None]
    assert prepared.ignored == ("maxLength",)


def test_references_are_followed_or_stay_where_a_schema_holds_itself():
    person = {
        "type": "object",
        "properties": {"name": TEXT, "friends": {"type": "array", "items": {"$ref": "#/$defs/P"}}},
    }
    prepared = prepare({"$defs": {"P": person}, "$ref": "#/$defs/P"}).schema
    reference = prepared["properties"]["friends"]["items"]["$ref"]
    name = reference.removeprefix("#/$defs/")
    assert prepared["$defs"][name]["properties"]["friends"]["items"]["$ref"] == reference
    maybe = {"$defs": {"P": TEXT}, "anyOf": [{"$ref": "#/$defs/P"}, {"type": "null"}]}
    assert prepare(maybe, prefix="x").schema == {
        "anyOf": [{"$ref": "#/$defs/x0"}, {"type": "null"}],
        "$defs": {"x0": TEXT},
    }


def test_a_schema_that_would_never_end_to_grow_is_refused():
    parts = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(30)}
    with pytest.raises(BadRequest):
        prepare({"$defs": {**parts, "d30": TEXT}, "$ref": "#/$defs/d0"})
    deep: dict[str, Any] = TEXT
    for _ in range(2_000):
        deep = {"allOf": [deep, {"minLength": 1}]}
    with pytest.raises(BadRequest):
        prepare(deep)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.translate.bounds import check_call, check_inputs, check_schema
from vllama.translate.options import read_options
from vllama.translate.pieces import ChatCall, Message

NONE = read_options({}, {})


def refused(schema) -> str:
    with pytest.raises(BadRequest) as caught:
        check_schema(schema)
    return caught.value.message


def doubling(levels: int) -> dict:
    definitions = {
        f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]} for i in range(levels)
    }
    definitions[f"d{levels}"] = {"type": "string"}
    return {"$defs": definitions, "$ref": "#/$defs/d0"}


def nested(levels: int) -> dict:
    schema: dict = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def test_references_that_double_are_refused_although_the_text_is_small():
    assert "references followed" in refused(doubling(20))
    check_schema(doubling(5))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"properties": {str(i): {} for i in range(10_000)}}, "10000 properties"),
        ({"enum": list(range(50_000))}, "50000 values in one enum"),
        ({"anyOf": [{}] * 5000}, "5000 alternatives in one anyOf"),
        (nested(100), "more than 64 levels"),
    ],
)
def test_what_keeps_an_engine_busy_for_minutes_is_refused(schema, said):
    assert said in refused(schema)


def test_a_schema_that_refers_to_itself_is_fine():
    check_schema({"$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"})
    check_schema({"properties": {"child": {"$ref": "#"}}})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["#", "#/$defs/a", "#/x/0", "string"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["$ref", "$defs", "a", "properties", "items", "anyOf", "allOf", "enum", "not", "type"]),
                inner,
            )
        ),
        max_leaves=30,
    )
)
def test_any_schema_is_accepted_or_refused(value):
    check_schema({"properties": value} if not isinstance(value, dict) else value)


def test_counts():
    with pytest.raises(BadRequest, match="10001 messages; at most 10000"):
        check_call(ChatCall((Message("user"),) * 10_001), NONE)
    with pytest.raises(BadRequest, match="513 tools"):
        check_call(ChatCall((Message("user"),), tools=({},) * 513), NONE)
    with pytest.raises(BadRequest, match="257 stop strings"):
        check_call(ChatCall((Message("user"),)), read_options({"stop": ["x"] * 257}, {}))
    with pytest.raises(BadRequest, match="100000 inputs"):
        check_inputs(["x"] * 100_000)
    check_call(ChatCall((Message("user"),) * 500, format="json"), NONE)

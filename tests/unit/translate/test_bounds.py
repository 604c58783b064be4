from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.translate.bounds import check_call, check_inputs, check_schema
from vllama.translate.options import read_options
from vllama.translate.pieces import ChatCall, Message
from vllama.translate.schemas.patterns import MAX_PATTERN, bounded, written_out


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
        ({"properties": {str(i): {} for i in range(10_000)}}, "10000 members that may be absent"),
        ({"properties": {str(i): {} for i in range(502)}, "required": ["0"]}, "501 members that may be absent"),
        (
            {"properties": {str(i): {} for i in range(5_001)}, "required": [str(i) for i in range(5_001)]},
            "5001 properties",
        ),
        ({"enum": list(range(50_000))}, "50000 values in one enum"),
        ({"anyOf": [{}] * 5000}, "5000 alternatives in one anyOf"),
        (nested(100), "more than 64 levels"),
    ],
)
def test_what_keeps_an_engine_busy_for_minutes_is_refused(schema, said):
    assert said in refused(schema)


def test_what_people_ask_for_is_fine():
    names = [f"p{i}" for i in range(501)]
    check_schema({"properties": {name: {"maxLength": 100} for name in names}, "required": names[:1]})
    check_schema({"anyOf": [{"type": "string", "maxLength": 1_000_000}, {"type": "array", "maxItems": 50}]})
    check_schema({"items": {"anyOf": [{"maxLength": 200, "minLength": 100 * i} for i in range(9)]}})
    check_schema({"pattern": r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"})
    check_schema({"pattern": r"^(\d{1,3}\.){3}\d{1,3}$"})


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 1),
        ("abc", 3),
        ("a{3}b", 4),
        ("(ab|c){2,4}", 12),
        ("((a{2}){3}b){10}", 70),
        (r"\({3}[)({2}]{5}", 8),
        ("a{2,}", 2),
        ("a{0}", 1),
        ("a{,5}", 5),
        ("(ab){,3000}", 6000),
        ("((", 1),
        ("){4}", 4),
        ("[", 1),
    ],
)
def test_patterns_are_measured_written_out(pattern, size):
    assert written_out(pattern) == size


@given(st.text("ab(){},|[]\\^0123456789*+?", max_size=30))
def test_any_pattern_has_a_size(pattern):
    assert written_out(pattern) >= 1


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("^[a-z]{1,255}$", "^[a-z]{1,255}$"),
        ("^[a-z]{1,2048}$", "^[a-z]{1,}$"),
        ("^[a-z]{3000}$", "^[a-z]{64,}$"),
        ("^a{2}.{,5000}$", "^a{2}.{0,}$"),
        ("(a|b{3}){1,100}(c{1,100}){99}", "(a|b{3}){1,}(c{1,}){64,}"),
        ("((a{3}b){20}){30}", None),
    ],
)
def test_large_counts_of_a_pattern_lose_their_upper_end(pattern, kept):
    assert bounded(pattern) == kept


@given(st.text("ab(){},|[]\\^0123456789*+?", max_size=30))
def test_no_pattern_stays_too_large(pattern):
    kept = bounded(pattern)
    assert kept is None or written_out(kept) <= MAX_PATTERN


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_tools_are_looked_at_where_one_of_them_must_be_called(choice):
    tool = {"type": "function", "function": {"name": "f", "parameters": nested(100)}}
    call = ChatCall((Message("user", "Hi"),), tools=(tool, {"function": None}), tool_choice=choice)
    with pytest.raises(BadRequest, match="more than 64 levels"):
        check_call(call)
    check_call(replace(call, tool_choice="auto"))


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
    with suppress(BadRequest):
        check_schema({"properties": value} if not isinstance(value, dict) else value)


def test_counts():
    with pytest.raises(BadRequest, match="10001 messages; at most 10000"):
        check_call(ChatCall((Message("user"),) * 10_001))
    with pytest.raises(BadRequest, match="513 tools"):
        check_call(ChatCall((Message("user"),), tools=({},) * 513))
    with pytest.raises(BadRequest, match="257 stop strings"):
        check_call(ChatCall((Message("user"),), checked=read_options({"stop": ["x"] * 257}, {})))
    with pytest.raises(BadRequest, match="100000 inputs"):
        check_inputs(["x"] * 100_000)
    check_call(ChatCall((Message("user"),) * 500, format="json"))

"""JSON schemas as clients legally, or nearly legally, send them, and what of each an answer need not satisfy.

Drafts 3 to 2020-12, OpenAPI, pydantic, zod, Go and PHP write them; hands and models do, too.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

TEXT = {"type": "string"}
CHAIN = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
TREE = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "value": {"type": "integer"}}}


def obj(**more: Any) -> dict[str, Any]:
    """An object with two members."""
    return {"type": "object", "properties": {"a": TEXT, "b": {"type": "integer"}}, **more}


ODD: dict[str, tuple[Any, tuple[str, ...]]] = {
    # what no grammar holds
    "unique items": ({"type": "array", "items": TEXT, "uniqueItems": True}, ("uniqueItems",)),
    "not unique items": ({"type": "array", "uniqueItems": False}, ()),
    "contains": (
        {"type": "array", "contains": TEXT, "minContains": 1, "maxContains": 2},
        ("contains", "minContains", "maxContains"),
    ),
    "multiple": ({"type": "integer", "multipleOf": 5}, ("multipleOf",)),
    "multiple of a cent": ({"type": "number", "multipleOf": 0.01}, ("multipleOf",)),
    "dependent required": (obj(dependentRequired={"a": ["b"]}), ("dependentRequired",)),
    "dependent schemas": (obj(dependentSchemas={"a": {"required": ["b"]}}), ("dependentSchemas",)),
    "dependencies": (obj(dependencies={"a": ["b"]}), ("dependencies",)),
    "condition": (obj(**{"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {}}), ("if",)),
    "condition without an effect": (obj(**{"if": {"required": ["a"]}}), ()),
    "not": ({"not": {"type": "string"}}, ("not",)),
    "unevaluated items": ({"type": "array", "prefixItems": [TEXT], "unevaluatedItems": False}, ()),
    # formats and patterns
    "known format": ({"type": "string", "format": "date-time"}, ()),
    "unknown format": ({"type": "string", "format": "color"}, ("format",)),
    "format of a number": ({"type": "integer", "format": "int64"}, ()),
    "url of pydantic": (
        {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083},
        ("minLength", "maxLength"),
    ),
    "pattern and length": ({"type": "string", "pattern": "^a+$", "minLength": 3}, ("minLength",)),
    "pattern and format": ({"type": "string", "pattern": "^a+$", "format": "email"}, ("format",)),
    "pattern in the midst": ({"type": "string", "pattern": "foo"}, ()),
    "looking ahead": ({"type": "string", "pattern": r"^(?=.*\d)(?!x).{8,}$"}, ("pattern",)),
    "word boundary": ({"type": "string", "pattern": r"\bfoo\b"}, ("pattern",)),
    "named group": ({"type": "string", "pattern": "^(?P<x>a)(?<y>b)$"}, ()),
    "unicode class": ({"type": "string", "pattern": r"^[\p{L}\p{Nd}]+\P{L}$"}, ("pattern",)),
    "back reference": ({"type": "string", "pattern": r"^(a)\1$"}, ("pattern",)),
    "no regular expression": ({"type": "string", "pattern": "("}, ("pattern",)),
    "nothing to repeat": ({"type": "string", "pattern": "*.py"}, ("pattern",)),
    "pattern of quotes": ({"type": "string", "pattern": r'^"\\\n\t/$'}, ()),
    "pattern with a zero": ({"type": "string", "pattern": "\x00"}, ("pattern",)),
    "pattern of everything": ({"type": "string", "pattern": r"^[\s\S]*$"}, ()),
    "columns of a database": (
        obj(properties={f"c{i}": {**TEXT, "maxLength": i} for i in (20, 64, 255, *range(1_000, 1_008))}),
        ("maxLength",),
    ),
    "large count": ({"type": "string", "pattern": r"^[\w+=,.@-]{1,2048}$"}, ("pattern",)),
    "large counts in each other": ({"type": "string", "pattern": "^(a{1,100}b){0,100}$"}, ("pattern",)),
    "endless count": ({"type": "string", "pattern": "a{99999999999999999999}"}, ("pattern",)),
    "many small counts": ({"type": "string", "pattern": "((a{3}b){20}){30}"}, ("pattern",)),
    "flags": ({"type": "string", "pattern": "(?i)^yes$"}, ()),
    "flags inside": ({"type": "string", "pattern": "^a(?i:b)$"}, ("pattern",)),
    "lazy": ({"type": "string", "pattern": "^a+?b*?c{2,}?$"}, ()),
    "pattern that is a number": ({"type": "string", "pattern": 5}, ("pattern",)),
    "format that is a list": ({"type": "string", "format": ["email"]}, ("format",)),
    # objects
    "pattern properties": ({"type": "object", "patternProperties": {"^x-": TEXT}}, ()),
    "pattern properties among others": (obj(patternProperties={"^x-": TEXT}), ("patternProperties",)),
    "two pattern properties": ({"type": "object", "patternProperties": {"^x": TEXT, "^y": {}}}, ("patternProperties",)),
    "property names": ({"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}}, ()),
    "listed property names": (
        {"type": "object", "propertyNames": {"enum": ["x", "y"]}, "additionalProperties": TEXT},
        (),
    ),
    "long property names": ({"type": "object", "propertyNames": {"maxLength": 3}}, ("propertyNames",)),
    "property names among others": (obj(propertyNames={"pattern": "^a"}), ("propertyNames",)),
    "counted members": ({"type": "object", "minProperties": 1, "maxProperties": 3}, ()),
    "too few members": (obj(additionalProperties=False, minProperties=3), ("minProperties",)),
    "no members": ({"type": "object", "maxProperties": 0}, ()),
    "more required than allowed": (obj(required=["a", "b"], maxProperties=1), ("maxProperties",)),
    "many counted members": (
        {"type": "object", "properties": {f"p{n}": TEXT for n in range(100)}, "minProperties": 10},
        ("minProperties",),
    ),
    "required null": (obj(required=None), ()),
    "required true": ({"type": "object", "properties": {"a": {"type": "string", "required": True}}}, ()),
    "required of nobody": (obj(required=["c"]), ()),
    "required of the forbidden": (obj(required=["c"], additionalProperties=False), ("required",)),
    "required text": (obj(required="a"), ()),
    "required numbers": (obj(required=[1, None, "a", "a"]), ()),
    "PHP's empty map": ({"type": "object", "properties": []}, ()),
    "properties null": ({"type": "object", "properties": None}, ()),
    "properties that are a text": ({"type": "object", "properties": "x"}, ("properties",)),
    "additional null": (obj(additionalProperties=None), ()),
    "additional text": (obj(additionalProperties="no"), ("additionalProperties",)),
    "additional schema": (obj(additionalProperties={"type": "boolean"}), ()),
    "members true and false": ({"type": "object", "properties": {"a": True, "b": False}}, ()),
    "a member that may not be, required": (
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        ("required",),
    ),
    "a member without a name": ({"type": "object", "properties": {"": TEXT, 'a"\\\n': TEXT}, "required": [""]}, ()),
    "members that are nothing": ({"type": "object", "properties": {"a": None, "b": "x", "c": 5, "d": []}}, ()),
    # arrays
    "tuple of old": ({"type": "array", "items": [TEXT, {"type": "integer"}]}, ()),
    "closed tuple of old": ({"type": "array", "items": [TEXT], "additionalItems": False}, ()),
    "empty tuple": ({"type": "array", "items": []}, ()),
    "tuple": ({"type": "array", "prefixItems": [TEXT, {}], "items": False, "minItems": 2}, ()),
    "tuple that is too short": ({"type": "array", "prefixItems": [TEXT], "items": False, "minItems": 2}, ("minItems",)),
    "items true": ({"type": "array", "items": True}, ()),
    "items false": ({"type": "array", "items": False}, ()),
    "items null": ({"type": "array", "items": None, "minItems": None}, ()),
    "items of a text": ({"type": "array", "items": "string"}, ("items",)),
    "a tuple's end": ({"type": "array", "prefixItems": [TEXT, TEXT, TEXT], "maxItems": 2}, ()),
    "lengths that contradict": ({"type": "array", "minItems": 3, "maxItems": 1}, ("minItems", "maxItems")),
    # numbers
    "draft 4's bounds": ({"type": "number", "minimum": 3, "exclusiveMinimum": True, "exclusiveMaximum": False}, ()),
    "bounds as texts": ({"type": "integer", "minimum": "3", "maximum": "7.5"}, ()),
    "bounds that are no numbers": ({"type": "integer", "minimum": "many", "maximum": []}, ("minimum", "maximum")),
    "bounds that contradict": ({"type": "integer", "minimum": 5, "maximum": 2}, ("minimum", "maximum")),
    "bounds around nothing": (
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
        ("minimum", "maximum"),
    ),
    "fractions of integers": ({"type": "integer", "minimum": 1.5, "maximum": 3.5}, ()),
    "huge bounds": ({"type": "integer", "minimum": -(10**30), "maximum": 1e300}, ("minimum", "maximum")),
    "tiny bounds": ({"type": "number", "minimum": -1e-9, "exclusiveMaximum": 1e-7}, ()),
    "both bounds": ({"type": "integer", "minimum": 3, "exclusiveMinimum": 5, "maximum": 9}, ()),
    # texts
    "lengths as texts": ({"type": "string", "minLength": "3", "maxLength": 5.0}, ()),
    "negative lengths": ({"type": "string", "minLength": -1, "maxLength": -1}, ("maxLength",)),
    "huge lengths": ({"type": "string", "minLength": 10**12, "maxLength": 10**15}, ("minLength",)),
    "lengths that are no numbers": ({"type": "string", "minLength": True, "maxLength": {}}, ("minLength", "maxLength")),
    # types
    "upper case": ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}, ()),
    "a list of types": ({"type": ["string", "null"], "maxLength": 3}, ()),
    "a list with null": ({"type": ["string", None]}, ()),
    "no types": ({"type": []}, ()),
    "any": ({"type": "any"}, ()),
    "date": ({"type": "date"}, ()),
    "other names": ({"type": "object", "properties": {"a": {"type": "int"}, "b": {"type": "float"}}}, ()),
    "unknown type": ({"type": "uuid4"}, ("type",)),
    "a type that is a number": ({"type": 5}, ("type",)),
    "a type that is null": ({"type": None, "properties": {"a": TEXT}}, ()),
    "nullable": ({"type": "string", "nullable": True}, ()),
    "nullable enum": ({"type": "string", "enum": ["a"], "nullable": True}, ()),
    "nullable reference": (
        {
            "$defs": {"a": TEXT},
            "type": "object",
            "properties": {"x": {"nullable": True, "allOf": [{"$ref": "#/$defs/a"}]}},
        },
        (),
    ),
    "only hints of a type": ({"properties": {"a": {"minLength": 2}, "b": {"minimum": 1}, "c": {"minItems": 1}}}, ()),
    # values
    "const": ({"const": {"a": [1, None, 1.5, "x"]}}, ()),
    "const null": ({"const": None}, ()),
    "empty enum": ({"enum": []}, ("enum",)),
    "enum null": ({"enum": None}, ()),
    "enum of everything": ({"enum": [1, 1.0, "1", None, True, [1], {"b": {}}, 'a"\\\n\U0001f600', -0.0, 1e100]}, ()),
    "enum of another type": ({"type": "integer", "enum": ["a", "b"]}, ("type",)),
    "enum partly of the type": ({"type": "string", "enum": ["a", None, 1]}, ()),
    "enum of a huge number": ({"enum": [10**25, 1]}, ("enum",)),
    "enum that is a text": ({"enum": "a"}, ("enum",)),
    # compositions
    "all of several": ({"allOf": [TEXT, {"enum": ["yes", "no", 1]}]}, ()),
    "all of objects": ({"allOf": [obj(required=["a"]), {"properties": {"c": {}}, "required": ["c"]}]}, ()),
    "all of what can't be": ({"allOf": [TEXT, {"type": "integer"}]}, ("allOf",)),
    "all of two patterns": ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, ("pattern",)),
    "any of, beside members": (obj(anyOf=[{"required": ["a"]}, {"required": ["b"]}]), ()),
    "one of": ({"oneOf": [TEXT, {"type": "integer"}, {"type": "null"}]}, ()),
    "any of and one of": ({"anyOf": [TEXT, {"type": "integer"}], "oneOf": [{"minLength": 2}, {"minimum": 3}]}, ()),
    "any of nothing": ({"anyOf": []}, ()),
    "any of null": ({"anyOf": None, "oneOf": None, "allOf": None}, ()),
    "any of a map": ({"anyOf": TEXT}, ()),
    "any of true and false": ({"anyOf": [True, False]}, ()),
    "any of false": ({"anyOf": [False, False]}, ("anyOf",)),
    # references
    "remote reference": ({"$ref": "https://example.com/schema.json"}, ("$ref",)),
    "lost reference": ({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}, ("$ref",)),
    "reference to a text": ({"title": "x", "type": "object", "properties": {"a": {"$ref": "#/title"}}}, ("$ref",)),
    "definitions": ({"definitions": {"a": TEXT}, "$ref": "#/definitions/a"}, ()),
    "definitions in odd places": (
        {"components": {"schemas": {"a/b c": TEXT}}, "items": {"$ref": "#/components/schemas/a~1b%20c"}},
        (),
    ),
    "definitions that are a list": ({"$defs": [TEXT], "items": {"$ref": "#/$defs/0"}}, ()),
    "reference to a member": ({"properties": {"a": TEXT, "b": {"$ref": "#/properties/a"}}}, ()),
    "reference with neighbours": ({"$defs": {"a": TEXT}, "$ref": "#/$defs/a", "minLength": 3, "title": "x"}, ()),
    "anchor": ({"$defs": {"a": {"$anchor": "x", **TEXT}}, "$ref": "#x"}, ()),
    "reference by its own address": ({"$id": "http://x/y", "$defs": {"a": TEXT}, "$ref": "http://x/y#/$defs/a"}, ()),
    "dynamic reference": ({"$dynamicRef": "#x"}, ("$dynamicRef",)),
    "itself": ({"$ref": "#"}, ("$ref",)),
    "a circle": (CHAIN, ("$ref",)),
    "tree": (TREE, ()),
    "a list of itself": ({"type": "array", "items": {"$ref": "#"}}, ()),
    "an alternative to itself": ({"anyOf": [{"$ref": "#"}, TEXT]}, ()),
    "a tree without an end": ({"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}, ("required",)),
    "reference that is a number": ({"$ref": 5, "type": "string"}, ()),
    # what is no constraint
    "comments": ({"$schema": "x", "$comment": "y", "title": "t", "default": 5, "examples": [], "x-y": 1, **TEXT}, ()),
    "nothing": ({}, ()),
    "true": (True, ()),
    "false": (False, ("false",)),
    "PHP's nothing": ([], ()),
}
"""Name -> schema, keywords that are left out."""

_WORDS = st.sampled_from(
    (
        *("type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties"),
        *("propertyNames", "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "minLength"),
        *("maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("anyOf", "oneOf", "allOf", "not", "if", "then", "else", "$ref", "$defs", "definitions", "nullable"),
        *("minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties"),
        *("unevaluatedItems", "$anchor", "$id", "title", "default", "x-y"),
    )
)
_NAMES = st.sampled_from(["a", "b", "c", "d", "", 'q"', "é", "a b", "$ref", "type"])
_TYPES = st.sampled_from(
    ["object", "array", "string", "integer", "number", "boolean", "null", "ANY", "Date", "any", "x", ""]
)
_PATTERNS = st.sampled_from(
    ["^a+$", "b", "^(a|b", "[^\\s]", r"\d{2,3}", r"(?=x)y", "", "^$", "a{2,1}", r"\p{L}", '"', r"\bx"]
)
_NUMBERS = st.one_of(
    st.integers(-3, 12), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.just(2**70), st.just("3")
)
_ODDS = st.one_of(st.none(), st.booleans(), _NUMBERS, _NAMES, st.just([]), st.just({}), _TYPES)
_REFERENCES = st.sampled_from(
    ["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/items", "#a", "http://x", "#/$defs/a/items"]
)


def _right(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """What usually stands in a keyword."""
    named, some = st.dictionaries(_NAMES, inner, max_size=3), st.lists(inner, max_size=3)
    single = ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else")
    return {
        "type": st.one_of(_TYPES, st.lists(_TYPES, max_size=3)),
        "enum": st.lists(_ODDS, max_size=4),
        "required": st.lists(_NAMES, max_size=3),
        "pattern": _PATTERNS,
        "format": st.sampled_from(["date", "uri", "color", "uuid", "email"]),
        "$ref": _REFERENCES,
        **dict.fromkeys(("properties", "$defs", "definitions", "patternProperties", "dependentSchemas"), named),
        **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), some),
        **dict.fromkeys(single, inner),
    }


@st.composite
def _keywords(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Keywords, most of which are right."""
    right = _right(inner)
    schema = {}
    for word in draw(st.lists(_WORDS, max_size=6, unique=True)):
        schema[word] = draw(_ODDS if draw(st.integers(0, 7)) == 0 else right.get(word, _NUMBERS))
    return schema


def schemas() -> st.SearchStrategy[Any]:
    """Schemas with odd keywords, which may refer to parts of themselves."""
    leaf = st.one_of(st.booleans(), st.just({}), st.builds(lambda name: {"type": name}, _TYPES))
    inner = st.recursive(leaf, _keywords, max_leaves=12)
    return st.builds(lambda whole, parts: {**whole, "$defs": parts}, _keywords(inner), st.dictionaries(_NAMES, inner))

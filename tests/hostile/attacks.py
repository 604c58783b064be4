"""What is put into each field of each route: long, nested, repeated, and what some parser once stumbled over.

Every body is small enough to be sent and large enough to show work that grows faster than what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

HI: Final = [{"role": "user", "content": "hi"}]
_N: Final = 40_000

TEXTS: Final[Mapping[str, str]] = {
    "brackets": "[" * _N,
    "units": "0s" * _N,
    "slashes": "#" + "/a" * _N,
    "billing": "x-anthropic-billing-header:" * (_N // 10),
    "header": "x-anthropic-billing-header:\n" * (_N // 10),
    "counts": "(a{2})" * (_N // 6),
    "angles": "<" * 2_000_000,
    "marks": "<think>" * _N,
    "quotes": '"\\' * _N,
    "foreign": "é\u2028\x85" * _N,
    "words": "word " * 400_000,
    "blanks": " \n" * 500_000,
    "base64": "QUJD\n" * _N + "!",
    "url": "data:image/png;base64," + "A" * 1_000_000 + "!",
    "digits": "1" * _N,
    "colons": "a:b/" * _N,
    "json": '{"a":' * _N,
    "braces": "{}" * _N,
    "range": "{{range 100000}}{{range 100000}}{{end}}{{end}}",
    "index": '{{$a := printf "%1000000s" "é"}}{{$b := printf "%s%s%s%s%s%s%s" $a $a $a $a $a $a $a}}'
    "{{range 100000}}{{$z := index $b 0}}{{end}}",
    "actions": "{{.}}" * 12_000,
    "opened": "{{" * 30_000,
    "parentheses": "{{" + "(" * 30_000,
    "variables": "".join(f"{{{{$v{i} := 1}}}}" for i in range(3_000)) + "{{range 100000}}{{$v0}}{{end}}",
}


def _nested(levels: int, inner: Any) -> Any:
    for level in range(levels):
        inner = [inner] if level % 2 else {"a": inner}
    return inner


def _wide_schema() -> dict[str, Any]:
    refs = {f"p{i}": {"$ref": "#" + "/" * 900 + str(i)} for i in range(4_000)}
    return {"type": "object", "properties": refs, "required": list(refs)}


def _heavy_schema() -> dict[str, Any]:
    return {"anyOf": [{"properties": {f"p{i}": {"enum": ["x"] * 9} for i in range(9)}, "required": ["p1"]}] * 450}


VALUES: Final[Mapping[str, Any]] = {
    "deep": _nested(100, "x"),
    "deeper": "@deeper",
    "many": ["x"] * 9_000,
    "members": {f"k{i}": i for i in range(60_000)},
    "long key": {"é" * 200_000: 1},
    "objects": [{"type": "text", "text": "a", "role": "user"}] * 9_000,
    "calls": [{"type": "function_call", "call_id": f"c{i}", "name": "f", "arguments": "{}"} for i in range(5_000)],
    "thoughts": [
        {"type": kind, "encrypted_content": "t " * 400, "call_id": "c", "name": "f", "arguments": "{}"}
        for _ in range(3_000)
        for kind in ("reasoning", "function_call")
    ],
    "big number": 10**300,
    "long number": int("9" * 4_000),
    "pattern": {"type": "string", "pattern": "[" * _N},
    "patterns": {"properties": {f"p{i}": {"pattern": "(a{2})" * 300} for i in range(60)}},
    "references": _wide_schema(),
    "schema": _heavy_schema(),
    "schema text": {"type": "string", "description": "<" * 2_000_000},
    "turns": [
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}] * 3}
        for _ in range(5_000)
    ]
    + [{"role": "tool", "content": "x"}] * 4_900,
    "one role": [{"role": "user", "content": "x" * 300}] * 9_000,
}
"""Values of other kinds; a text goes into each field, too."""

ROUTES: Final[Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]]] = {
    "/api/chat": (
        {"model": "tinychat", "messages": HI, "stream": False},
        ("model", "messages", "tools", "format", "keep_alive", "options", "think", "stream"),
    ),
    "/api/generate": (
        {"model": "tinychat", "prompt": "hi", "stream": False},
        ("model", "prompt", "suffix", "system", "template", "format", "keep_alive", "options", "context", "images"),
    ),
    "/api/embed": ({"model": "tinychat", "input": "hi"}, ("model", "input", "keep_alive", "options", "dimensions")),
    "/api/embeddings": ({"model": "tinychat", "prompt": "hi"}, ("model", "prompt", "keep_alive")),
    "/api/show": ({"model": "tinychat"}, ("model", "system", "template", "options")),
    "/api/create": (
        {"model": "made", "from": "tinychat", "stream": False},
        ("model", "from", "files", "adapters", "template", "license", "system", "parameters", "messages", "info"),
    ),
    "/api/copy": ({"source": "tinychat", "destination": "copied"}, ("source", "destination")),
    "/api/pull": ({"model": "no/such", "stream": False}, ("model",)),
    "/v1/chat/completions": (
        {"model": "tinychat", "messages": HI},
        ("model", "messages", "tools", "tool_choice", "response_format", "stop", "logit_bias", "reasoning_effort"),
    ),
    "/v1/completions": ({"model": "tinychat", "prompt": "hi"}, ("model", "prompt", "suffix", "stop", "bad_words")),
    "/v1/embeddings": ({"model": "tinychat", "input": "hi"}, ("model", "input", "encoding_format")),
    "/v1/responses": (
        {"model": "tinychat", "input": "hi"},
        ("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "metadata"),
    ),
    "/v1/messages": (
        {"model": "tinychat", "max_tokens": 9, "messages": HI},
        ("model", "messages", "system", "tools", "tool_choice", "stop_sequences", "thinking", "output_config"),
    ),
}
"""A harmless body and the fields that are attacked."""


def encoded(body: Mapping[str, Any]) -> bytes:
    """The body's bytes. What nests deeper than Python can write is put in here."""
    return json.dumps(body).encode().replace(b'"@deeper"', b'[{"a":' * 30_000 + b"1" + b"}]" * 30_000)


def _within(field: str, value: Any) -> Iterator[Any]:
    """The value itself, and in the places that a field of that name has for it."""
    yield value
    text = value if isinstance(value, str) else "x"
    match field:
        case "messages":
            yield [{"role": "user", "content": value}]
            yield [{"role": text, "content": "hi"}]
            yield [*HI, {"role": "assistant", "tool_calls": [{"function": {"name": text, "arguments": value}}]}, *HI]
        case "tools":
            yield [{"type": "function", "function": {"name": text, "parameters": value}}]
            yield [{"type": "function", "name": text, "parameters": value, "input_schema": value}]
        case "response_format":
            yield {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}
        case "text" | "output_config":
            yield {"format": {"type": "json_schema", "name": "x", "schema": value}}
        case "options" | "parameters":
            yield {"stop": [value], "temperature": value}
        case "stop" | "stop_sequences" | "images" | "bad_words" | "system":
            yield [value]
        case "files" | "adapters":
            yield {text: text}
        case "tool_choice":
            yield {"type": "function", "function": {"name": text}}
        case "reasoning" | "thinking":
            yield {"effort": value, "summary": value, "type": value}


def bodies(path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every attack on a route: what it is, and the body."""
    body, fields = ROUTES[path]
    for field in fields:
        for kind, value in {**TEXTS, **VALUES}.items():
            for place, put in enumerate(_within(field, value)):
                yield f"{field}/{place}: {kind}", {**body, field: put}

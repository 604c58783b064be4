"""Requests that hold more than an engine should be given, one of each kind."""

from __future__ import annotations

from typing import Any, Final

HI: Final = {"role": "user", "content": "hi"}
PIXEL: Final = "iVBORw0KGgo="


def doubling(levels: int) -> dict[str, Any]:
    """A small text that becomes ``2**levels`` subschemas when its references are followed."""
    definitions: dict[str, Any] = {
        f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]} for i in range(levels)
    }
    definitions[f"d{levels}"] = {"type": "string"}
    return {"$defs": definitions, "$ref": "#/$defs/d0"}


def nested(levels: int) -> dict[str, Any]:
    """Lists of lists."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def flat(members: int) -> dict[str, Any]:
    """An object with so many optional members."""
    return {"type": "object", "properties": {f"p{i}": {"type": "integer"} for i in range(members)}}


SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "references that double": doubling(25),
    "deep": nested(200),
    "members": flat(20_000),
    "alternatives": {"anyOf": [{"type": "string", "maxLength": i + 1} for i in range(5_000)]},
    "enum": {"enum": [f"v{i}" for i in range(100_000)]},
}

LOOSENED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "maxLength": (
        "lengths",
        {"type": "object", "properties": {f"p{i}": {"type": "string", "maxLength": i} for i in range(300)}},
    ),
    "pattern": ("a count", {"type": "string", "pattern": "(a|b|c){1,5000}"}),
}
"""Schemas that are answered without a part that would be too much: its keyword, what there is too much of."""

REQUESTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "messages": ("/api/chat", {"model": "tinychat", "messages": [HI] * 100_000}),
    "images": ("/api/chat", {"model": "tinychat", "messages": [{**HI, "images": [PIXEL] * 5_000}]}),
    "tools": (
        "/api/chat",
        {
            "model": "tinychat",
            "messages": [HI],
            "tools": [{"type": "function", "function": {"name": f"f{i}"}} for i in range(20_000)],
        },
    ),
    "stops": ("/api/generate", {"model": "tinychat", "prompt": "hi", "options": {"stop": ["x"] * 10_000}}),
    "inputs": ("/api/embed", {"model": "minilm", "input": ["a"] * 100_000}),
    "a prompt": ("/api/generate", {"model": "tinychat", "prompt": "word " * 2_000_000}),
    "a raw prompt": ("/api/generate", {"model": "tinychat", "prompt": "word " * 2_000_000, "raw": True}),
    **{
        f"a schema: {name}": ("/api/chat", {"model": "tinychat", "messages": [HI], "format": schema})
        for name, schema in SCHEMAS.items()
    },
    **{
        f"a schema on OpenAI's route: {name}": (
            "/v1/chat/completions",
            {
                "model": "tinychat",
                "messages": [HI],
                "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
            },
        )
        for name, schema in SCHEMAS.items()
    },
}
"""What to ask, by what there is too much of."""

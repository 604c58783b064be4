"""Holds answers against the schemas of ``/vllama/openapi.json``: the few words of JSON Schema that it uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
_WORDS = {"type", "enum", "minimum", "maximum", "items", "required", "properties", "additionalProperties", "$ref"}


class Description:
    """The document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def faults(self, method: str, path: str, status: int, answer: Any) -> list[str]:
        """What is wrong with an answer to a route; empty if it is as described."""
        found = self.document["paths"][path][method]["responses"][str(status)]["content"]["application/json"]
        return [*self._faults(found["schema"], answer, "answer")]

    def _faults(self, schema: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
        if unknown := schema.keys() - _WORDS - {"description"}:
            yield f"{where}: this check does not know {unknown}"
        if "$ref" in schema:
            yield from self._faults(self.document["components"]["schemas"][schema["$ref"].split("/")[-1]], value, where)
            return
        if "enum" in schema and value not in schema["enum"]:
            yield f"{where}: {value!r} is none of {schema['enum']}"
        if "type" in schema and not _is_of(schema["type"], value):
            yield f"{where}: {value!r} is no {schema['type']}"
            return
        if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield f"{where}: {value!r} is out of bounds"
        if isinstance(value, list):
            for number, one in enumerate(value):
                yield from self._faults(schema["items"], one, f"{where}[{number}]")
        if isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
            for name, one in value.items():
                yield from self._faults(schema["additionalProperties"], one, f"{where}.{name}")
        if isinstance(value, dict) and "properties" in schema:
            yield from (f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value)
            for name, one in value.items():
                if name in schema["properties"]:
                    yield from self._faults(schema["properties"][name], one, f"{where}.{name}")
                else:
                    yield f"{where}.{name} is not described"


def _is_of(kinds: str | list[str], value: Any) -> bool:
    names = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, _TYPES[name]) for name in names)

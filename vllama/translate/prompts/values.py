"""Messages and tools as Go templates see them: Ollama's structs, their fields, how they print. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vllama.templates import JsonMap, OneOrMore, Struct, TemplateError
from vllama.templates.limits import MAX_VALUE_DEPTH
from vllama.translate.pieces import Message, ToolCall


def message_value(message: Message) -> Struct:
    """A message as templates see it."""
    return Struct(
        "*template.templateMessage",
        {
            "Role": message.role,
            "Content": message.content,
            "Thinking": message.thinking,
            "Images": message.images,
            "ToolCalls": [_tool_call(call) for call in message.tool_calls],
            "ToolName": message.tool_name,
            "ToolCallID": message.tool_call_id,
        },
    )


def _tool_call(call: ToolCall) -> Struct:
    function = {"Index": call.index, "Name": call.name, "Arguments": JsonMap(decoded(dict(call.arguments)))}
    return Struct(
        "template.templateToolCall",
        {"ID": call.id, "Function": Struct("template.templateToolCallFunction", function)},
    )


def decoded(value: Any, depth: int = 0) -> Any:
    """JSON as Go decodes it: every number is a float. Raises TemplateError for what nests too deeply to be printed."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if depth >= MAX_VALUE_DEPTH:
        raise _too_deep()
    if isinstance(value, Mapping):
        return {key: decoded(element, depth + 1) for key, element in value.items()}
    return [decoded(element, depth + 1) for element in value]


def tool_value(tool: Mapping[str, Any]) -> Struct:
    """A tool's definition. It and its parts print as JSON, the keys in Ollama's order."""
    kind = _text(tool, "type")
    function = _function(_mapping(tool, "function"))
    return _printed(
        "template.templateTool",
        {"Type": kind, "Items": decoded(tool.get("items")), "Function": function},
        {"type": kind, **_given(tool, "items"), "function": function},
    )


def _function(function: Mapping[str, Any]) -> Struct:
    name, description = _text(function, "name"), _text(function, "description")
    parameters = _parameters(_mapping(function, "parameters"))
    return _printed(
        "template.templateToolFunction",
        {"Name": name, "Description": description, "Parameters": parameters},
        {"name": name, "description": description, "parameters": parameters},
    )


def _parameters(schema: Mapping[str, Any]) -> Struct:
    kind = _text(schema, "type")
    properties = {name: _property(inner, 0) for name, inner in _mapping(schema, "properties").items()}
    return _printed(
        "template.templateToolFunctionParameters",
        {
            "Type": kind,
            "Defs": decoded(schema.get("$defs")),
            "Items": decoded(schema.get("items")),
            "Required": decoded(_sequence(schema, "required")),
            "Properties": JsonMap(properties),
        },
        {
            "type": kind,
            **_given(schema, "$defs", "items", "required"),
            "properties": JsonMap(properties) if isinstance(schema.get("properties"), Mapping) else None,
        },
    )


def _property(schema: Any, depth: int) -> Struct:
    if depth >= MAX_VALUE_DEPTH:
        raise _too_deep()
    schema = schema if isinstance(schema, Mapping) else {}
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else _sequence(schema, "type")
    nested = {name: _property(inner, depth + 1) for name, inner in _mapping(schema, "properties").items()}
    alternatives = [_property(inner, depth + 1) for inner in _sequence(schema, "anyOf")]
    return _printed(
        "api.ToolProperty",
        {
            "AnyOf": alternatives,
            "Type": OneOrMore(name for name in kinds if isinstance(name, str)),
            "Items": decoded(schema.get("items")),
            "Description": _text(schema, "description"),
            "Enum": decoded(_sequence(schema, "enum")),
            "Properties": JsonMap(nested),
            "Required": decoded(_sequence(schema, "required")),
        },
        {
            **({"anyOf": alternatives} if alternatives else {}),
            **_given(schema, "type", "items", "description", "enum"),
            **({"properties": Struct("api.ToolPropertiesMap", nested)} if nested else {}),
            **_given(schema, "required"),
        },
    )


def _printed(go_type: str, fields: Mapping[str, Any], json: Mapping[str, Any]) -> Struct:
    return Struct(go_type, fields, json, prints_json=True)


def _given(source: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: decoded(source[key]) for key in keys if source.get(key)}


def _text(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    return value if isinstance(value, str) else ""


def _mapping(source: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = source.get(key)
    return value if isinstance(value, Mapping) else {}


def _sequence(source: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = source.get(key)
    return value if isinstance(value, list | tuple) else ()


def _too_deep() -> TemplateError:
    return TemplateError(f"template: a value nests more than {MAX_VALUE_DEPTH} levels deep")

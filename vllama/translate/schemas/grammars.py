"""The form of an answer and of tools' arguments, as the engine makes grammars of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from vllama.translate.pieces import ChatCall, TextCall
from vllama.translate.schemas.preparing import PreparedSchema, prepare

MOST_BLANKS: Final = 22
"""Blanks and line breaks in a row between two parts of a JSON text. Ollama's grammars allow two line breaks and twenty
blanks. Models have learnt to write such blanks; without a bound weak ones write nothing else."""
_ANY_OBJECT: Final = {"type": "object"}
_JSON_MODE: Final = "json"


def enforceable(call: ChatCall | TextCall) -> tuple[ChatCall | TextCall, tuple[str, ...]]:
    """The call with schemas that the engine takes, and the keywords that they had to lose.

    Raises BadRequest for a schema that is too large.
    """
    ignored: dict[str, None] = {}
    if call.format is not None and call.format not in ("", _JSON_MODE):
        prepared = prepare(call.format)
        call = replace(call, format=prepared.schema)
        ignored |= dict.fromkeys(prepared.ignored)
    if isinstance(call, ChatCall) and (tools := _enforced_tools(call, ignored)) is not None:
        call = replace(call, enforced_tools=tools)
    return call, tuple(ignored)


def response_format(wanted: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The engine's field for ``format``: a schema with bounded blanks.

    ``json_schema`` and ``json_object`` would either forbid blanks or allow any number of them.
    """
    if wanted is None or wanted == "":
        return None
    schema = _ANY_OBJECT if isinstance(wanted, str) else wanted
    form = {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": MOST_BLANKS}
    return {"type": "structural_tag", "format": form}


def shown(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tools as the engine hands them to a chat template, for a template that is to see others than the grammar."""
    return [{"type": tool["type"], "function": _shown_function(tool["function"])} for tool in tools]


def _shown_function(function: Mapping[str, Any]) -> dict[str, Any]:
    always = {key: function.get(key) for key in ("name", "description", "parameters")}
    return always | {key: function[key] for key in ("strict", "defer_loading") if function.get(key) is not None}


def _enforced_tools(call: ChatCall, ignored: dict[str, None]) -> tuple[Mapping[str, Any], ...] | None:
    """The tools with other parameters for the grammar; None where the client's can stay."""
    forced = call.tool_choice not in (None, "", "auto", "none")
    tools = list(call.tools)
    for number, tool in enumerate(call.tools):
        given = function = tool.get("function") or {}
        if not forced and function.get("strict") is not True:
            continue
        prepared = _parameters(function.get("parameters"), number)
        if prepared is not None:
            ignored |= dict.fromkeys(prepared.ignored)
            function = {**function, "parameters": prepared.schema}
        if forced:
            function = _with_an_object(function)
        if function is not given:
            tools[number] = {**tool, "function": function}
    changed = any(given is not made for given, made in zip(call.tools, tools, strict=True))
    return tuple(tools) if changed else None


def _with_an_object(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """The engine writes any JSON as arguments where there is no schema, or where it is said not to be strict."""
    schema = function.get("parameters")
    said = isinstance(schema, Mapping) and bool(schema)
    if said and function.get("strict") is not False:
        return function
    rest = {key: value for key, value in function.items() if key != "strict"}
    return {**rest, "parameters": schema if said else _ANY_OBJECT}


def _parameters(schema: Any, number: int) -> PreparedSchema | None:
    """None: there is no schema, or the engine takes it as it is."""
    if not isinstance(schema, Mapping) or not schema:
        return None
    prepared = prepare(schema, prefix=f"tool{number}_")
    return None if prepared.as_it_was else prepared

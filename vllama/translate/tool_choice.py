"""Which tools a model may call and whether it must: every way in which clients say it. Pure.

Ollama ignores the field, so what names no tool of the request and no known mode is ignored here, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Tool = Mapping[str, Any]
_MODES: Final = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def chosen(choice: Any, tools: Sequence[Tool]) -> tuple[Any, tuple[Tool, ...]]:
    """vLLM's ``tool_choice`` and the tools that may be called; None: the model decides.

    ``tools`` are definitions of chat completions; ``choice`` is a mode, a tool's name, one tool in the form of any of
    the three APIs, or OpenAI's ``allowed_tools``.
    """
    offered = tuple(tools)
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    if kind == "allowed_tools":
        allowed = choice.get("allowed_tools", choice)  # Responses have mode and tools one level higher
        if isinstance(allowed, Mapping) and isinstance(listed := allowed.get("tools"), list):
            names = {name_of(tool) for tool in listed}
            offered = tuple(tool for tool in offered if name_of(tool) in names)
            choice = kind = allowed.get("mode")
    if not offered:
        return None, ()
    word = choice if isinstance(choice, str) else kind
    if isinstance(word, str) and word in _MODES:
        return _MODES[word], offered
    name = choice if isinstance(choice, str) else name_of(choice)
    if name and any(name_of(tool) == name for tool in offered):
        return {"type": "function", "function": {"name": name}}, offered
    return None, offered


def name_of(tool: Any) -> str:
    """The name of a tool or of a choice, which stands in its ``function`` or beside its type."""
    if not isinstance(tool, Mapping):
        return ""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
    return name if isinstance(name, str) else ""


def functions(tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """The tools that are functions, whatever type they say they have.

    A tool of another type without a function is one that a server runs. One that has its name and parameters beside
    its type is written in the form of Responses.
    """
    return tuple(_definition(tool) for tool in tools if _is_function(tool))


def _is_function(tool: Tool) -> bool:
    return isinstance(tool.get("function"), Mapping) or tool.get("type") in (None, "", "function")


def _definition(tool: Tool) -> Tool:
    if isinstance(tool.get("function"), Mapping) or not name_of(tool):
        return tool
    keys = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {key: tool[key] for key in keys if tool.get(key) is not None}}

"""A Modelfile's TEMPLATE, read: what it asks for, and what it can do. Pure.

A template reads ``.Messages`` (each with Role, Content, Thinking, ToolCalls ...), or it is of the older form that
shows one turn by ``.System``, ``.Prompt`` and ``.Response`` and is run once for each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from vllama.templates.facts import cut_at_response, names_used, thinking_tags, tool_mark
from vllama.templates.nodes import Action, Command, Field, Pipe, Template
from vllama.templates.parser import REMEMBERED, REMEMBERED_LENGTH, parse

DEFAULT_TEMPLATE: Final = "{{ .Prompt }}"
"""For a model that has none of its own."""


@dataclass(frozen=True, slots=True)
class ModelTemplate:
    """A template as ``read_template`` understands it."""

    template: Template
    turn: Template
    """The same up to the response, for the last turn of the older form."""
    reads_messages: bool
    capabilities: frozenset[str]
    """Of ``tools``, ``insert`` and ``thinking``."""
    thinking: tuple[str, str] | None
    """The tags around the model's thinking."""
    tool_mark: str
    """What the model writes before a tool call."""


def read_template(text: str) -> ModelTemplate:
    """Raises TemplateError in Go's words; a text of usual size is read once."""
    return _remembered(text) if len(text) <= REMEMBERED_LENGTH else _read(text)


def _read(text: str) -> ModelTemplate:
    template = parse(text)
    names = names_used(template)
    if not names & {"messages", "response"}:
        template = replace(template, root=(*template.root, _response(len(text))))
    tags = thinking_tags(template)
    able = {"tools": "tools" in names, "insert": "suffix" in names, "thinking": tags is not None}
    return ModelTemplate(
        template=template,
        turn=cut_at_response(template),
        reads_messages="messages" in names,
        capabilities=frozenset(name for name, can in able.items() if can),
        thinking=tags,
        tool_mark=tool_mark(template),
    )


_remembered: Final = lru_cache(maxsize=REMEMBERED)(_read)


def _response(at: int) -> Action:
    """``{{ .Response }}``, for templates that don't say where the answer goes."""
    return Action(at, Pipe(at, (Command(at, (Field(at, ("Response",)),)),)))

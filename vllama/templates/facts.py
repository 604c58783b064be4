"""What the form of a model's Go template shows: what it uses, how thinking and tool calls are marked. Pure.

Ollama infers these the same way, so that a Modelfile means here what it means there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from vllama.templates.faults import TemplateError
from vllama.templates.nodes import (
    Action,
    Field,
    If,
    Include,
    Pipe,
    Range,
    Statement,
    Statements,
    Template,
    Text,
    Variable,
    With,
    operands,
)

ANY_OBJECT: Final = "{"
"""The mark of tool calls where the template shows none: any JSON object may be one."""


def names_used(template: Template) -> frozenset[str]:
    """Fields and variables that the template reads, in lower case; TemplateError for an include without a value."""
    found: set[str] = set()
    for body in (template.root, *template.defined.values()):
        for statement in _all(body):
            if isinstance(statement, Include) and statement.pipe is None:
                raise TemplateError("undefined template specified")
            for pipe in _pipes(statement):
                found.update(_names(pipe))
    return frozenset(found)


def _all(body: Statements) -> Iterator[Statement]:
    for statement in body:
        yield statement
        if isinstance(statement, If | With | Range):
            yield from _all(statement.body)
            yield from _all(statement.otherwise)


def _pipes(statement: Statement) -> tuple[Pipe, ...]:
    if isinstance(statement, Action | If | With | Range):
        return (statement.pipe,)
    return (statement.pipe,) if isinstance(statement, Include) and statement.pipe is not None else ()


def _names(pipe: Pipe) -> Iterator[str]:
    for operand in operands(pipe):
        if isinstance(operand, Field):
            yield from (name.lower() for name in operand.names)
        elif isinstance(operand, Variable):
            yield from (name.lower() for name in (operand.name, *operand.fields))


def thinking_tags(template: Template) -> tuple[str, str] | None:
    """The texts around ``.Thinking`` in the loop over ``.Messages``: ``("<think>", "</think>")``, or None."""
    opening = closing = ""
    for body, in_messages in _bodies(template.root, in_messages=False):
        if not in_messages or not any(_shows(pipe, "Thinking") for pipe in _own_pipes(body)):
            continue
        if isinstance(first := body[0], Text):
            opening = first.text.strip()
        if isinstance(last := body[-1], Text):
            closing = last.text.strip()
    return (opening, closing) if opening and closing else None


def _bodies(body: Statements, *, in_messages: bool) -> Iterator[tuple[Statements, bool]]:
    """Every list of statements in order, and whether its nearest loop runs over the messages."""
    yield body, in_messages
    for statement in body:
        if isinstance(statement, If | With | Range):
            inside = _shows(statement.pipe, "Messages") if isinstance(statement, Range) else in_messages
            yield from _bodies(statement.body, in_messages=inside)
            if statement.otherwise:
                yield from _bodies(statement.otherwise, in_messages=inside)


def _own_pipes(body: Statements) -> Iterator[Pipe]:
    for statement in body:
        yield from _pipes(statement)


def _shows(pipe: Pipe, name: str) -> bool:
    return any(isinstance(operand, Field) and operand.names[0] == name for operand in operands(pipe))


def tool_mark(template: Template) -> str:
    """What stands before a tool call: the first text that the template writes where a turn has calls."""
    shown = _find_calls(template.root)
    text = _first_text(shown.body)[0] if shown is not None else ""
    return text.strip().replace("\r\n", "\n").partition("{")[0].strip() or ANY_OBJECT


def _find_calls(body: Statements) -> If | None:
    """The first ``{{if .ToolCalls}}``."""
    for statement in body:
        if isinstance(statement, If) and any(
            isinstance(arg, Field) and "ToolCalls" in arg.names
            for command in statement.pipe.commands
            for arg in command.args
        ):
            return statement
        if isinstance(statement, If | With | Range):
            found = _find_calls(statement.body) or _find_calls(statement.otherwise)
            if found is not None:
                return found
    return None


def _first_text(body: Statements) -> tuple[str, bool]:
    """The first text on the way in, and whether the search ends here (at an action, or after a branch)."""
    for statement in body:
        if isinstance(statement, Text):
            return statement.text, True
        if isinstance(statement, Action):
            return "", True
        if isinstance(statement, If | With | Range):
            return (_first_text(statement.body)[0] or _first_text(statement.otherwise)[0]), True
    return "", False


def cut_at_response(template: Template) -> Template:
    """The template up to ``.Response``, where the model is to go on."""
    return replace(template, root=_until_response(template.root)[0])


def _until_response(body: Statements) -> tuple[Statements, bool]:
    kept: list[Statement] = []
    for statement in body:
        if isinstance(statement, Action) and _reads_response(statement.pipe):
            return (*kept, *_shortened(statement)), True
        if isinstance(statement, If | With | Range):
            inner, found = _until_response(statement.body)
            if found:
                return (*kept, replace(statement, body=inner, otherwise=())), True
            other, found = _until_response(statement.otherwise)
            if found:
                return (*kept, replace(statement, otherwise=other)), True
        kept.append(statement)
    return tuple(kept), False


def _reads_response(pipe: Pipe) -> bool:
    return any(isinstance(operand, Field) and "Response" in operand.names for operand in operands(pipe))


def _shortened(statement: Action) -> tuple[Action, ...]:
    """Without what the action does to the response after reading it; nothing when it hands it on."""
    return (statement,) if len(statement.pipe.commands) == 1 else ()

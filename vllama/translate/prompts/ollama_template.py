"""A Modelfile's TEMPLATE: what Ollama puts into it, and what it can do. Pure.

A template reads ``.Messages`` (each with Role, Content, Thinking, ToolCalls ...), or it is of the older form that
shows one turn by ``.System``, ``.Prompt`` and ``.Response`` and is run once for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Final

from vllama.templates import Days, JsonList, Template, parse, render
from vllama.templates.limits import MAX_STEPS, Budget
from vllama.templates.nodes import Action, Command, Field, Pipe
from vllama.templates.parser import REMEMBERED, REMEMBERED_LENGTH
from vllama.translate.pieces import Message, Tags
from vllama.translate.prompts.tagged_text import TaggedText
from vllama.translate.prompts.template_facts import cut_at_response, names_used, thinking_tags, tool_mark
from vllama.translate.prompts.values import message_value, tool_value

DEFAULT_TEMPLATE: Final = "{{ .Prompt }}"
"""For a model that has none of its own."""
_EFFORT: Final = "medium"  # what Ollama calls a plain "on"
_STEPS_PER_MESSAGE: Final = 200


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


@dataclass(frozen=True, slots=True)
class Thinking:
    """``.Think``, ``.ThinkLevel`` and ``.IsThinkSet``."""

    on: bool = False
    level: str = ""
    given: bool = False

    @classmethod
    def asked(cls, think: bool | str | None) -> Thinking:
        """From a request's ``think``; None: not given."""
        if isinstance(think, str):
            return cls(on=True, level=think, given=True)
        return cls(on=bool(think), level=_EFFORT if think else "", given=think is not None)


NOT_ASKED: Final = Thinking()


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


def render_chat(
    template: ModelTemplate,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    thinking: Thinking = NOT_ASKED,
    today: date,
    budget: Budget | None = None,
) -> str:
    """The prompt for a conversation; raises TemplateError. ``today`` is for ``currentDate``.

    ``budget``: what it may take; by itself a second or two, more for long conversations.
    """
    values = _thinking_values(thinking)
    days = _days(today)
    turns = merged(messages)
    budget = budget or Budget(steps=MAX_STEPS + _STEPS_PER_MESSAGE * len(turns))
    if not template.reads_messages:
        return _render_turns(template, turns, values, days, budget)
    values |= {
        "System": "\n\n".join(message.content for message in messages if message.role == "system"),
        "Messages": [message_value(message) for message in turns],
        "Tools": JsonList(tool_value(tool) for tool in tools),
        "Response": "",
    }
    return render(template.template, values, days=days, budget=budget)


def render_insert(
    template: ModelTemplate,
    prompt: str,
    suffix: str,
    *,
    thinking: Thinking = NOT_ASKED,
    today: date,
    budget: Budget | None = None,
) -> str:
    """The prompt for what belongs between ``prompt`` and ``suffix``; raises TemplateError."""
    values = _thinking_values(thinking) | {"Prompt": prompt, "Suffix": suffix, "Response": ""}
    return render(template.template, values, days=_days(today), budget=budget)


def tags_of(
    template: ModelTemplate,
    prompt: str,
    *,
    thinking: tuple[str, str] | None,
    tools: Sequence[Mapping[str, Any]] = (),
) -> Tags:
    """How the answer to a rendered prompt is to be taken apart. ``thinking``: the tags, None: it isn't asked to."""
    functions = (tool.get("function") for tool in tools)
    names = (function.get("name") for function in functions if isinstance(function, Mapping))
    return Tags(
        thinking=thinking,
        inside=thinking is not None and prompt.rstrip().endswith(thinking[0]),
        tools=tuple(name for name in names if isinstance(name, str) and name),
        mark=template.tool_mark,
    )


def without_old_thinking(messages: Sequence[Message]) -> list[Message]:
    """Assistant turns before the last question without the ``<think>`` part of their text.

    Ollama does this for the families whose early templates kept thinking in the content (contract 3.5).
    """
    last = max((place for place, message in enumerate(messages) if message.role == "user"), default=0)
    return [
        replace(message, content=_answer_only(message.content))
        if message.role == "assistant" and place < last
        else message
        for place, message in enumerate(messages)
    ]


def _answer_only(text: str) -> str:
    parts = TaggedText(Tags(thinking=("<think>", "</think>")))
    pieces = [*parts.feed(text), *parts.end()]
    return "".join(piece.content for piece in pieces)


def merged(messages: Iterable[Message]) -> list[Message]:
    """Neighbours of one role become one message, an empty line between their texts; tool results stay apart."""
    out: list[Message] = []
    for role, neighbours in groupby(messages, key=attrgetter("role")):
        turns = list(neighbours)
        out += turns if role == "tool" or len(turns) == 1 else [_joined(turns)]
    return out


def _joined(turns: Sequence[Message]) -> Message:
    return replace(
        turns[0],
        content="\n\n".join(turn.content for turn in turns),
        images=tuple(chain.from_iterable(turn.images for turn in turns)),
        tool_calls=tuple(chain.from_iterable(turn.tool_calls for turn in turns)),
    )


def _render_turns(
    template: ModelTemplate, messages: list[Message], values: dict[str, Any], days: Days, budget: Budget
) -> str:
    """The older form: whole turns by the whole template, the last one up to where the model goes on."""
    out: list[str] = []
    turn = {"System": "", "Prompt": "", "Response": ""}

    def write(form: Template) -> None:
        out.append(render(form, values | turn, days=days, budget=budget))
        turn.update(System="", Prompt="", Response="")

    for message in messages:
        match message.role:
            case "system":
                if turn["Prompt"] or turn["Response"]:
                    write(template.template)
                turn["System"] = message.content
            case "user":
                if turn["Response"]:
                    write(template.template)
                turn["Prompt"] = message.content
            case "assistant":
                turn["Response"] = message.content
    write(template.turn)
    return "".join(out)


def _response(at: int) -> Action:
    """``{{ .Response }}``, for templates that don't say where the answer goes."""
    return Action(at, Pipe(at, (Command(at, (Field(at, ("Response",)),)),)))


def _thinking_values(thinking: Thinking) -> dict[str, Any]:
    return {"Think": thinking.on, "ThinkLevel": thinking.level, "IsThinkSet": thinking.given}


def _days(today: date) -> Days:
    return Days(today.isoformat(), (today - timedelta(days=1)).isoformat())

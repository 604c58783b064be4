"""Prompts by a Modelfile's TEMPLATE: what Ollama puts into it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Final

from vllama.templates import Days, JsonList, Template, render
from vllama.templates.limits import MAX_STEPS, Budget
from vllama.templates.model_template import ModelTemplate
from vllama.translate.pieces import Message, Tags
from vllama.translate.prompts.tagged_text import TaggedText
from vllama.translate.prompts.values import message_value, tool_value

_EFFORT: Final = "medium"  # what Ollama calls a plain "on"
_STEPS_PER_MESSAGE: Final = 200


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

    Ollama does this for the families whose early templates kept thinking in the content.
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


def _thinking_values(thinking: Thinking) -> dict[str, Any]:
    return {"Think": thinking.on, "ThinkLevel": thinking.level, "IsThinkSet": thinking.given}


def _days(today: date) -> Days:
    return Days(today.isoformat(), (today - timedelta(days=1)).isoformat())

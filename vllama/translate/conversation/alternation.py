"""Brings a conversation into a shape that the model's chat template takes. Pure.

As Ollama does it: system texts are collated at the front, turns of one role that follow each other are joined by a
blank line, a system text stands before the first user's where the template knows no system. Only what the template
needs is changed, and no word is lost: what it takes stays as it is, and where it knows no tools, calls and results
become text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vllama.translate.conversation.call_turns import apart, as_text, one_by_one, text_first
from vllama.translate.conversation.joining import joined
from vllama.translate.conversation.template_shapes import (
    SYSTEM_ROLES,
    Pair,
    TemplateShapes,
    TurnKind,
    kinds_of,
    neighbours,
)
from vllama.translate.pieces import Message

_SAME_ROLE: Final = {"user": "user", "assistant": "assistant", "calls": "assistant"}
_ROLES: Final = ("system", "user", "assistant", "tool")
_BRIDGES: Final[dict[Pair, str]] = {
    ("start", "assistant"): "user",
    ("system", "assistant"): "user",
    ("assistant", "calls"): "user",
    ("assistant", "end"): "user",
    ("result", "user"): "assistant",
}
"""Whose empty turn stands between two that the template does not take side by side."""
_MEANT: Final = {"developer": "system", "function": "tool"}

MessageTurns = tuple[Message, ...]


def normal(messages: Sequence[Message], shapes: TemplateShapes, *, tools: bool) -> MessageTurns:
    """The conversation in a shape that the template takes; the very same where it is in one.

    ``tools``: it is rendered with tools. Where nothing fits, it becomes one turn of the user's.
    """
    asked = tuple(messages)
    if not asked or shapes.takes(asked, tools=tools):
        return asked
    form = _Form(shapes, tools=tools)
    tries: tuple[Callable[[MessageTurns], MessageTurns], ...] = (_meant, _calls_written, _without_tools, _between_users)
    for attempt in tries:
        found = form.of(attempt(asked))
        if shapes.takes(found, tools=tools):
            return found
    return form.of(_one_turn(asked))


def _meant(messages: MessageTurns) -> MessageTurns:
    """Roles by the names that templates know."""
    return tuple(replace(message, role=_MEANT.get(message.role, message.role)) for message in messages)


def _calls_written(messages: MessageTurns) -> MessageTurns:
    """Calls as the assistant's text; results as they are."""
    return tuple(as_text(message) if message.role == "assistant" else message for message in _meant(messages))


def _without_tools(messages: MessageTurns) -> MessageTurns:
    """Only system, user and assistant: calls and results as text, whatever else as the user's."""
    return tuple(_plain(message) for message in _meant(messages))


def _plain(message: Message) -> Message:
    text = as_text(message)
    return text if text.role in _ROLES else replace(text, role="user")


def _between_users(messages: MessageTurns) -> MessageTurns:
    """The first and the last turn are the user's."""
    turns = _without_tools(messages)
    said = [place for place, message in enumerate(turns) if message.role == "user"]
    first, last = (said[0], said[-1]) if said else (len(turns), len(turns))
    return tuple(
        replace(message, role="user") if message.role == "assistant" and not first < place < last else message
        for place, message in enumerate(turns)
    )


def _one_turn(messages: MessageTurns) -> MessageTurns:
    turns = _without_tools(messages)
    said = [message for message in turns if message.role != "system"]
    system = tuple(message for message in turns if message.role == "system")
    return (*system, replace(joined(said), role="user")) if said else system


@dataclass(frozen=True, slots=True)
class _Form:
    """The steps to what one template takes; each changes only what is refused."""

    shapes: TemplateShapes
    tools: bool

    def of(self, messages: MessageTurns) -> MessageTurns:
        turns = self._system_placed(self._known(messages))
        if not self.shapes.call_lists:
            turns = one_by_one(turns)
        if not self.shapes.text_with_calls:
            turns = text_first(turns)
        turns = apart(turns, self.shapes.refused)
        turns = self._bridged(self._joined(turns))
        return self._joined(turns)

    def _known(self, messages: MessageTurns) -> MessageTurns:
        if self.shapes.other_roles:
            return messages
        return tuple(message if message.role in _ROLES else replace(message, role="user") for message in messages)

    # ----------------------------------------------------------------------------------------------- system

    def _system_placed(self, turns: MessageTurns) -> MessageTurns:
        shapes = self.shapes
        has_system = shapes.has_system(tools=self.tools)
        if not self._late_taken(turns):
            turns = _collated(turns)
        front = tuple(message for message, kind in zip(turns, kinds_of(turns), strict=True) if kind == "system")
        rest = turns[len(front) :]
        alone = not rest and (("system", "end") in shapes.refused or not shapes.userless)
        if front and (alone or not has_system):
            front, rest = (), _before_the_first(joined(front).content, rest)
        elif len(front) > 1 and ("system", "system") in shapes.refused:
            front = (joined(front),)
        if not front and self.tools and has_system and not shapes.tools_alone:
            front = (Message("system"),)
        return (*front, *rest)

    def _late_taken(self, turns: MessageTurns) -> bool:
        kinds = kinds_of(turns)
        refused = any("late" in pair and pair in self.shapes.refused for pair in neighbours(kinds))
        return not refused and (self.shapes.has_system(tools=self.tools) or "late" not in kinds)

    # ------------------------------------------------------------------------------------------------ turns

    def _joined(self, turns: MessageTurns) -> MessageTurns:
        """Neighbours of one role as one turn, where the template does not take them apart."""
        groups: list[list[Message]] = []
        before: TurnKind = "start"  # of the turn that the last group makes
        for message, kind in zip(turns, kinds_of(turns), strict=True):
            if not self._joins(before, kind):
                groups.append([message])
                before = kind
                continue
            if message.content:  # what was said behind a call can't stand before it in one turn
                _write_calls(groups[-1])
                before = "assistant" if before == "calls" else before
            groups[-1].append(message)
            before = "calls" if kind == "calls" else before
        return tuple(joined(group) for group in groups)

    def _joins(self, before: TurnKind, kind: TurnKind) -> bool:
        if (before, kind) == ("assistant", "calls") and not self.shapes.text_with_calls:
            return False
        same = kind in _SAME_ROLE and _SAME_ROLE[kind] == _SAME_ROLE.get(before)
        return same and (before, kind) in self.shapes.refused

    def _bridged(self, turns: MessageTurns) -> MessageTurns:
        """Empty turns where the template insists on one: they say nothing."""
        out: list[Message] = []
        kinds = kinds_of(turns)
        lonely = "user" not in kinds and not self.shapes.userless
        for message, (before, kind) in zip((*turns, None), neighbours(kinds), strict=True):
            missing = (before, kind) in self.shapes.refused or (lonely and not out)
            role = _BRIDGES.get((before, kind))
            if missing and role and (self.shapes.empty_user if role == "user" else self.shapes.empty_assistant):
                out.append(Message(role))
            out += [message] if message is not None else []
        return tuple(out)


def _write_calls(group: list[Message]) -> None:
    """Those at the end of the group as text; what stands before them has none any more."""
    place = len(group) - 1
    while place >= 0 and group[place].tool_calls:
        group[place] = as_text(group[place])
        place -= 1


def _collated(turns: MessageTurns) -> MessageTurns:
    """All system texts in one message at the front.

    One that comes last, behind the assistant's turn, asks for the next answer and becomes the user's: at the front it
    would leave an assistant's turn to be continued.
    """
    last = max((place for place, message in enumerate(turns) if message.role not in SYSTEM_ROLES), default=-1)
    asks = last >= 0 and turns[last].role == "assistant"
    asked = [replace(message, role="user") for message in turns[last + 1 :]] if asks else []
    system = [message for message in turns[: last + 1] if message.role in SYSTEM_ROLES]
    system += [] if asks else turns[last + 1 :]
    said = [message for message in turns[: last + 1] if message.role not in SYSTEM_ROLES]
    return (*([joined(system)] if system else []), *said, *asked)


def _before_the_first(text: str, turns: MessageTurns) -> MessageTurns:
    """A system text as the user's: in the first turn where that is the user's, else in one of its own."""
    system = Message("user", text)
    if turns and turns[0].role == "user":
        return (joined([system, turns[0]]), *turns[1:])
    return (system, *turns)

"""Which shapes of a conversation a model's chat template takes. Pure.

A shape is described by neighbours: which kind of turn follows which. ``template_trials`` finds out what a template
refuses, or renders without some of the words; ``alternation`` brings a conversation into a shape that it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vllama.translate.efforts import EFFORTS
from vllama.translate.pieces import Message

TurnKind = Literal["start", "system", "late", "user", "assistant", "calls", "result", "other", "end"]
"""``system``: at the front; ``late``: a system message behind other turns; ``calls``: an assistant's turn with calls of
tools; ``other``: a role that no API defines."""
Pair = tuple[TurnKind, TurnKind]

SYSTEM_ROLES = ("system", "developer")
_ROLES: dict[str, TurnKind] = {"user": "user", "assistant": "assistant", "tool": "result"}


@dataclass(frozen=True, slots=True)
class TemplateShapes:
    """What a template does not take; nothing is refused until a trial has shown it."""

    refused: frozenset[Pair] = frozenset()
    """Neighbours. A greeting with calls counts as one without."""
    userless: bool = True
    """Takes a conversation without any user's turn."""
    other_roles: bool = True
    """Takes roles that no API defines."""
    developer: bool = True
    """Takes messages of the role ``developer``; where it knows none, vLLM makes them system messages."""
    call_lists: bool = True
    """Takes several calls in one turn, and their results one behind the other."""
    text_with_calls: bool = True
    """Shows what the assistant says in one turn with calls."""
    system_with_tools: bool = True
    """Shows the system message when there are tools, too."""
    tools_alone: bool = True
    """Shows the tools when there is no system message, too."""
    empty_user: bool = True
    """Takes an empty user's turn, to stand before an assistant's turn that needs one."""
    empty_assistant: bool = True
    """Takes an empty assistant's turn, to stand between a tool's result and a user's turn."""
    refused_efforts: frozenset[str] = frozenset()
    """Levels of ``reasoning_effort``."""

    def takes(self, messages: Sequence[Message], *, tools: bool) -> bool:
        """Is the conversation in a shape that the template takes? ``tools``: it is rendered with tools."""
        kinds = kinds_of(messages)
        return (
            not any(pair in self.refused for pair in neighbours(kinds))
            and (self.userless or "user" in kinds)
            and (self.other_roles or "other" not in kinds)
            and (self.developer or all(message.role != "developer" for message in messages))
            and (self.text_with_calls or not any(message.content and message.tool_calls for message in messages))
            and (self.call_lists or all(len(message.tool_calls) < 2 for message in messages))
            and (not tools or self.system_with_tools or "system" not in kinds)
            and (not tools or self.tools_alone or "system" in kinds or not self.has_system(tools=tools))
        )

    @property
    def reported(self) -> str:
        """What a person may want to know of it; empty where it takes whatever is usual."""
        refused, words = self.refused, []
        if ("start", "system") in refused:
            words.append("no system message")
        elif refused & {("user", "late"), ("assistant", "late"), ("late", "late"), ("system", "system")}:
            words.append("one system message, at the front")
        if refused & {("user", "user"), ("assistant", "assistant")}:
            words.append("user and assistant in turns")
        if ("user", "calls") in refused:
            words.append("no calls of tools")
        elif not self.call_lists:
            words.append("one call of a tool at a time")
        if self.refused_efforts:
            known = [effort for effort in EFFORTS if effort not in self.refused_efforts]
            words.append(f"levels of thinking {', '.join(known) or 'none'}")
        return "; ".join(words)

    def has_system(self, *, tools: bool) -> bool:
        """Does the template show a system message at the front?"""
        shown = not {("start", "system"), ("system", "user")} & self.refused
        return shown and (not tools or self.system_with_tools)


NATURAL = TemplateShapes()
"""Takes everything as it is."""

BARE: frozenset[Pair] = frozenset({("user", "assistant"), ("assistant", "user"), ("start", "user"), ("user", "end")})
"""Neighbours that every template takes which takes more than one turn."""
_KINDS: tuple[TurnKind, ...] = ("start", "system", "late", "user", "assistant", "calls", "result", "end")
STRICTEST = TemplateShapes(
    refused=frozenset((before, after) for before in _KINDS for after in _KINDS) - BARE,
    userless=False,
    other_roles=False,
    developer=False,
    call_lists=False,
    text_with_calls=False,
    system_with_tools=False,
    empty_user=False,
    empty_assistant=False,
    refused_efforts=frozenset(EFFORTS),
)
"""Takes nothing but user and assistant in turns: what is tried when a template refuses what it should take."""


def kinds_of(messages: Sequence[Message]) -> list[TurnKind]:
    """The kind of each turn."""
    kinds: list[TurnKind] = []
    front = True
    for message in messages:
        front = front and message.role in SYSTEM_ROLES
        if message.role in SYSTEM_ROLES:
            kinds.append("system" if front else "late")
        elif message.role == "assistant" and message.tool_calls:
            kinds.append("calls")
        else:
            kinds.append(_ROLES.get(message.role, "other"))
    return kinds


def neighbours(kinds: Sequence[TurnKind]) -> Iterator[Pair]:
    """All pairs, from the start to the end."""
    before: TurnKind = "start"
    for kind in (*kinds, "end"):
        yield before, "assistant" if kind == "calls" and before in {"start", "system"} else kind
        before = kind

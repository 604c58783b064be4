"""Calls of tools and their results for templates that don't take them as they are. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import orjson

from vllama.translate.conversation.template_shapes import Pair, TurnKind, kinds_of
from vllama.translate.pieces import Message, ToolCall


def as_text(message: Message) -> Message:
    """Calls written out as JSON in the assistant's text, a result as the user's text; others stay."""
    if message.role == "tool":
        return Message("user", message.content, images=message.images)
    if not message.tool_calls:
        return message
    calls = "\n".join(_written(call) for call in message.tool_calls)
    return replace(message, content="\n\n".join(text for text in (message.content, calls) if text), tool_calls=())


def _written(call: ToolCall) -> str:
    return orjson.dumps({"name": call.name, "arguments": call.arguments}).decode()


def apart(turns: Sequence[Message], refused: AbstractSet[Pair]) -> tuple[Message, ...]:
    """Calls without a result and results without a call as text, where the template refuses them so."""
    out: list[Message] = []
    kinds: list[TurnKind] = ["start", *kinds_of(turns), "end"]
    for message, before, kind, after in zip(turns, kinds, kinds[1:], kinds[2:], strict=False):
        lost = kind == "result" and before not in {"calls", "result"} and (before, kind) in refused
        unanswered = kind == "calls" and after != "result" and (kind, after) in refused
        out.append(as_text(message) if lost or unanswered else message)
    return tuple(out)


def text_first(turns: Sequence[Message]) -> tuple[Message, ...]:
    """What is said in one turn with calls as a turn before them."""
    out: list[Message] = []
    for message in turns:
        if message.tool_calls and message.content:
            out += [replace(message, tool_calls=()), replace(message, content="", thinking="", images=())]
        else:
            out.append(message)
    return tuple(out)


def one_by_one(turns: Sequence[Message]) -> tuple[Message, ...]:
    """Several calls of one turn as turns of their own, each with its result behind it."""
    out: list[Message] = []
    place = 0
    while place < len(turns):
        message, place = turns[place], place + 1
        if len(message.tool_calls) < 2:
            out.append(message)
            continue
        results: list[Message] = []
        while place < len(turns) and turns[place].role == "tool":
            results.append(turns[place])
            place += 1
        out += _pairs(message, results)
    return tuple(out)


def _pairs(message: Message, results: Sequence[Message]) -> list[Message]:
    """Each call with its result; what belongs to none comes last."""
    by_id = {result.tool_call_id: result for result in reversed(results) if result.tool_call_id}
    named: defaultdict[str, deque[Message]] = defaultdict(deque)
    for result in results:
        if not result.tool_call_id:
            named[result.tool_name].append(result)
    out: list[Message] = []
    used: set[int] = set()
    for number, call in enumerate(message.tool_calls):
        out.append(Message("assistant", tool_calls=(call,)) if number else replace(message, tool_calls=(call,)))
        found = by_id.pop(call.id, None)
        if found is None and (queue := named[call.name] or named[""]):
            found = queue.popleft()
        if found is not None:
            out.append(found)
            used.add(id(found))
    return out + [result for result in results if id(result) not in used]

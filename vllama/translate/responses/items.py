"""The input of a Responses request as turns of ours. Pure.

Clients send back whatever an answer or a tool of theirs added to the conversation, and new kinds of items appear with
each version of theirs. So an item is read by what it carries: a call, the result of one, or words. What carries none
of them is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from vllama.errors import BadRequest
from vllama.translate.arguments import arguments_of
from vllama.translate.decoding import Body, WrongShape, elements, read
from vllama.translate.passages import joined
from vllama.translate.pieces import Message, ToolCall
from vllama.translate.responses.parts import content_of, result_of, string, words

# nothing to be done with them here: what they point at or hold is with OpenAI
_LEFT_OUT: Final = frozenset({"item_reference", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"})
_ARGUMENTS: Final = ("input", "action", "operation", "queries", "code")
_RESULTS: Final = ("output", "outputs", "results", "error")
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/=_-]{64,}")


class _Kind(Body):
    type: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class InputConversation:
    """What the input says."""

    turns: tuple[Message, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    """Definitions that became known on the way (``additional_tools``, ``tool_search_output``)."""


def read_input(given: Any) -> InputConversation:
    """The conversation of ``input``; raises BadRequest."""
    if given is None or given == "":
        return InputConversation()
    if isinstance(given, str):
        return InputConversation((Message("user", given),))
    reading = _Reading()
    for index, item in enumerate({} if item is None else item for item in _list(given, "input")):
        try:
            kind = read(item, _Kind, "the item")
        except WrongShape as error:
            raise BadRequest(f"input[{index}]: {error}") from None
        reading.add(f"input[{index}]: ", kind.type or ("message" if kind.role else ""), item)
    return InputConversation(tuple(reading.end()), tuple(reading.tools))


def _list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise BadRequest(f"{what} must be a string or array")
    elements(value)  # not too many of them
    return value


@dataclass(slots=True)
class _OpenTurn:
    """An assistant's turn that more calls may belong to."""

    message: Message
    thoughts: list[str]
    calls: list[ToolCall]

    def whole(self) -> Message:
        return replace(self.message, thinking=joined(self.thoughts), tool_calls=tuple(self.calls))


@dataclass(slots=True)
class _Reading:
    """Joins a list of items to turns: calls and reasoning belong to the assistant's turn beside them."""

    tools: list[Mapping[str, Any]] = field(default_factory=list)
    _turns: list[Message] = field(default_factory=list)
    _open: _OpenTurn | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _thoughts: list[str] = field(default_factory=list)

    def add(self, where: str, kind: str, item: Mapping[str, Any]) -> None:
        """The next item."""
        if isinstance(more := item.get("tools"), list) and kind != "mcp_list_tools":
            self.tools += [tool for tool in more if isinstance(tool, Mapping)]
        if kind == "message":
            self._message(where, item)
        elif kind == "reasoning":
            self._thoughts.append(_thought(item))
        elif kind.endswith("_output"):
            self._result(string(item, "call_id") or string(item, "id"), item.get("output") or item.get("tools"))
        elif kind.endswith("_call"):
            self._call(kind, item)
        elif kind and kind not in _LEFT_OUT:
            self._other(item)
        elif not kind and not isinstance(item.get("id"), str):  # with an id alone it is a reference
            raise BadRequest(f"{where}input item missing required 'type' field")

    def _message(self, where: str, item: Mapping[str, Any]) -> None:
        role = "system" if item.get("role") == "developer" else string(item, "role")
        if "content" not in item:
            raise BadRequest(f"{where}content must be a string or array")
        content = item["content"]
        parts = content if content is None or isinstance(content, str) else _list(content, f"{where}content")
        text, images = content_of(parts, where, own=role == "assistant")
        self._say(Message(role, text, images=images))

    def _other(self, item: Mapping[str, Any]) -> None:
        """An item of a kind that is not known: its words are kept."""
        if said := words(item.get("content")) or words(item.get("summary")) or words(item.get("text")):
            role = string(item, "role") or "user"
            self._say(Message("system" if role == "developer" else role, said))

    def _say(self, message: Message) -> None:
        if message.role == "assistant":
            message = replace(message, thinking=self._take_thoughts())
        elif message.role == "user" and (thoughts := self._take_thoughts()):
            self._append(Message("assistant", thinking=thoughts))  # the answer to them never came
        self._append(message)

    def _call(self, kind: str, item: Mapping[str, Any]) -> None:
        """A call, and its result where the item holds both."""
        result = next((item[key] for key in _RESULTS if item.get(key)), None)
        complete = kind in {"function_call", "custom_tool_call"} or "call_id" in item
        if not complete and result is None:
            return  # run by a server, and what came of it is in the next message
        call_id = string(item, "call_id") or string(item, "id")
        name = string(item, "name") or kind.removesuffix("_call")
        self._names[call_id] = name
        turn = self._opened()
        turn.thoughts.append(self._take_thoughts())
        turn.calls.append(ToolCall(call_id, len(turn.calls), name, _arguments(item)))
        if result is not None:
            self._result(call_id, result)

    def _result(self, call_id: str, output: Any) -> None:
        text, images = result_of(output)
        name = self._names.get(call_id, "")
        self._append(Message("tool", text, images=images, tool_name=name, tool_call_id=call_id))

    def end(self) -> list[Message]:
        """All turns."""
        if self._open is not None:
            self._turns.append(self._open.whole())
            self._open = None
        return self._turns

    def _append(self, message: Message) -> None:
        self.end().append(message)

    def _opened(self) -> _OpenTurn:
        """The assistant's turn at the end, or a new one."""
        if self._open is None:
            last = self._turns.pop() if self._turns and self._turns[-1].role == "assistant" else Message("assistant")
            self._open = _OpenTurn(last, [last.thinking], list(last.tool_calls))
        return self._open

    def _take_thoughts(self) -> str:
        taken, self._thoughts = joined(self._thoughts), []
        return taken


def _arguments(item: Mapping[str, Any]) -> dict[str, Any]:
    """What a call of any kind was made with."""
    key = next((key for key in _ARGUMENTS if item.get(key) is not None), "")
    given = item.get(key, item.get("arguments"))
    return {key: given} if key and not isinstance(given, Mapping) else arguments_of(given)


def _thought(item: Mapping[str, Any]) -> str:
    """Ours come back as they were; those of other servers are sealed, and only what is said about them can be read."""
    sealed = string(item, "encrypted_content")
    if sealed and not _OPAQUE.fullmatch(sealed):
        return sealed
    return words(item.get("content")) or words(item.get("summary"))

"""Finds out which shapes of a conversation a chat template takes, by rendering small ones. Pure.

Each trial is a conversation whose turns say one made-up word each. It is taken when it renders and every word is found
in the rendering: a template that leaves a late system message out refuses it as much as one that raises. Most templates
take everything, which a few trials of long conversations show; only where one of those fails each shape is tried alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import Any, Final

from vllama.models.model import Model
from vllama.translate.conversation.template_shapes import NATURAL, STRICTEST, Pair, TemplateShapes
from vllama.translate.efforts import EFFORTS
from vllama.translate.engine.requests import chat_prompt
from vllama.translate.pieces import ChatCall, Message, ToolCall

Trials = Generator[dict[str, Any], "str | None", TemplateShapes]
"""Yields what to render, as fields of ``/tokenize``; wants its text, or None when it was refused."""
_Answers = Generator[dict[str, Any], "str | None", bool]

_HARMONY_EFFORTS: Final = frozenset({"low", "medium", "high"})
_TOOL_NAME: Final = "zqxtool"
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": _TOOL_NAME,
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
    },
}
# A conversation by letters: System, User, Assistant, a Call, a Double call, Both text and call, a Tool's result, a
# Narrator, a deVeloper; small ones for turns without a text.
_ROLES: Final = {"S": "system", "U": "user", "A": "assistant", "T": "tool", "N": "narrator", "V": "developer"}
_LAX: Final = "SSAUUAASUSAUSSU"
_LAX_TOOLS: Final = "UDTTAUBTUCTCTACTAU"
_REFUSABLE: Final = STRICTEST.refused
_LATE: Final = frozenset(pair for pair in _REFUSABLE if "late" in pair)
_CALLS: Final = frozenset(pair for pair in _REFUSABLE if "calls" in pair)
_UNANSWERED: Final = frozenset(pair for pair in _REFUSABLE if pair[0] == "calls" and pair[1] != "result")
_UNASKED: Final = frozenset(
    pair for pair in _REFUSABLE if pair[1] == "result" and pair[0] not in {"calls", "result", "late"}
)

# each shape alone, behind a system message where there is one: what it shows when it fails
_TURNS: Final[tuple[tuple[str, tuple[Pair, ...]], ...]] = (
    ("UUAU", (("user", "user"),)),
    ("UAAU", (("assistant", "assistant"),)),
    ("UASU", (("assistant", "late"),)),
    ("USAU", (("user", "late"),)),
    ("UASSU", (("late", "late"),)),
)
_FRONT: Final[tuple[tuple[str, tuple[Pair, ...]], ...]] = (
    ("SSU", (("system", "system"),)),
    ("SAU", (("system", "assistant"),)),
)
_ANSWERED: Final[tuple[tuple[str, tuple[Pair, ...]], ...]] = (
    ("UCT", (("result", "end"),)),
    ("UCTUAU", (("result", "user"),)),
    ("UCTCTAU", (("result", "calls"),)),
    ("UACTAU", (("assistant", "calls"),)),
)
# where calls are not shown: results behind calls that are text
_TOLD: Final[tuple[tuple[str, tuple[Pair, ...]], ...]] = (
    ("UATAU", (("assistant", "result"), ("user", "result"), ("start", "result"), ("system", "result"))),
    ("UAT", (("result", "end"),)),
    ("UATUAU", (("result", "user"),)),
    ("UATTAU", (("result", "result"),)),
    ("UATSAU", (("result", "late"), ("late", "result"))),
)


class _Words:
    """The made-up words of a trial, one for each turn that says something."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def next(self) -> str:
        self.all.append(f"zqx{chr(ord('a') + len(self.all)) * 2}")
        return self.all[-1]


def worth_trying(model: Model) -> bool:
    """Does vLLM render this model's conversations by a template of the model's?"""
    facts = model.facts
    brings = facts.chat_template or facts.tool_parser or facts.reasoning_parser
    rendered_here = bool(model.template) and "vision" not in facts.capabilities
    return facts.task == "generate" and bool(brings) and not rendered_here


def trials(model: Model) -> Trials:
    """Everything there is to find out about ``model``'s template."""
    if model.facts.family == "gpt_oss":  # vLLM writes its conversations itself, in any order
        return replace(NATURAL, refused_efforts=frozenset(EFFORTS) - _HARMONY_EFFORTS)
    words = _Words()
    text = yield _body(model, "U", words)
    if text is None:
        return NATURAL
    return (yield from _Template(model, sees=words.all[0] in text).shapes())


class _Template:
    """What was found so far."""

    def __init__(self, model: Model, *, sees: bool) -> None:
        """``sees``: the engine's answer to a rendering lets words be found."""
        self._model = model
        self._sees = sees
        self._refused: set[Pair] = set()
        self._flags: dict[str, bool] = {}
        self._front = ""

    def shapes(self) -> Trials:
        if not (yield from self._takes("UAU")):
            self._refused |= _REFUSABLE | {("user", "assistant"), ("assistant", "user")}
            self._refused -= {("system", "user")}
        if (yield from self._takes("SU")):
            self._front = "S"
            self._refused -= {("start", "system")}
        else:
            self._refused |= _LATE | {("start", "system")}
        if ("user", "assistant") not in self._refused:
            yield from self._turns()
            yield from self._tools()
            yield from self._bridges()
        self._flags["developer"] = yield from self._takes("VU")
        self._flags["other_roles"] = yield from self._takes(self._front + "NU")
        if "tools" in self._model.facts.capabilities:
            yield from self._with_tools()
        efforts = yield from self._refused_efforts()
        return TemplateShapes(refused=frozenset(self._refused), refused_efforts=efforts, **self._flags)

    def _turns(self) -> Generator[dict[str, Any], str | None, None]:
        if not (self._front and (yield from self._takes(_LAX))):
            for turns, pairs in _FRONT if self._front else ():
                yield from self._unless(self._takes(turns), pairs)
            for turns, pairs in _TURNS:
                if not self._refused.issuperset(pairs):
                    yield from self._unless(self._takes(self._front + turns), pairs)
        yield from self._unless(self._takes("AU"), [("start", "assistant")])
        yield from self._unless(self._takes(self._front + "UA"), [("assistant", "end")])
        self._flags["userless"] = yield from self._takes(self._front or "A")
        if ("user", "late") not in self._refused:
            yield from self._unless(self._takes(self._front + "US"), [("late", "end")])

    def _tools(self) -> Generator[dict[str, Any], str | None, None]:
        front = self._front
        if not (yield from self._takes(front + "UCTAU", tools=True)):
            self._refused |= _CALLS
            for turns, pairs in _TOLD:
                if not self._refused.issuperset(pairs):
                    yield from self._unless(self._takes(front + turns, tools=True), pairs)
            return
        if not (yield from self._takes(front + _LAX_TOOLS, tools=True)):
            for turns, pairs in _ANSWERED:
                yield from self._unless(self._takes(front + turns, tools=True), pairs)
            self._flags["call_lists"] = yield from self._takes(front + "UDTTAU", tools=True)
            self._flags["text_with_calls"] = yield from self._takes(front + "UBTAU", tools=True)
        yield from self._unless(self._takes(front + "UCUAU", tools=True), _UNANSWERED)
        yield from self._unless(self._takes(front + "UTAU", tools=True), _UNASKED)
        if not self._refused.issuperset(_LATE):
            yield from self._unless(self._takes(front + "UCTSAU", tools=True), [("result", "late")])
            yield from self._unless(self._takes(front + "UCSTAU", tools=True), [("calls", "late"), ("late", "result")])

    def _bridges(self) -> Generator[dict[str, Any], str | None, None]:
        if self._refused & {
            ("start", "assistant"),
            ("system", "assistant"),
            ("assistant", "end"),
            ("assistant", "calls"),
        }:
            self._flags["empty_user"] = yield from self._takes(self._front + "uAUAu")
        if ("result", "user") in self._refused:
            self._flags["empty_assistant"] = yield from self._takes(self._front + "UCTaU", tools=True)

    def _with_tools(self) -> Generator[dict[str, Any], str | None, None]:
        if not self._sees:
            return
        if self._front:
            self._flags["system_with_tools"] = yield from self._takes("SU", tools=True)
        alone = yield _body(self._model, "U", _Words(), tools=True)
        if alone is not None and _TOOL_NAME not in alone and self._front:
            behind = yield _body(self._model, "sU", _Words(), tools=True)
            self._flags["tools_alone"] = behind is None or _TOOL_NAME not in behind

    def _refused_efforts(self) -> Generator[dict[str, Any], str | None, frozenset[str]]:
        facts = self._model.facts
        reads = "thinking" in facts.capabilities and "reasoning_effort" in (facts.chat_template or "reasoning_effort")
        refused = set()
        for effort in EFFORTS if reads else ():
            if (yield _body(self._model, "U", _Words(), effort=effort)) is None:
                refused.add(effort)
        return frozenset(refused)

    def _takes(self, turns: str, *, tools: bool = False) -> _Answers:
        words = _Words()
        text = yield _body(self._model, turns, words, tools=tools)
        return text is not None and (not self._sees or all(word in text for word in words.all))

    def _unless(self, taken: _Answers, pairs: Iterable[Pair]) -> Generator[dict[str, Any], str | None, None]:
        if not (yield from taken):
            self._refused |= set(pairs)


def _body(model: Model, turns: str, words: _Words, *, tools: bool = False, effort: str | None = None) -> dict[str, Any]:
    messages = [_turn(letter, words.next) for letter in turns]
    offered = (_TOOL,) if tools and "tools" in model.facts.capabilities else ()
    call = ChatCall(tuple(messages), tools=offered, think=effort)
    return chat_prompt(call, messages, model, NATURAL) | {"return_token_strs": True}


def _turn(letter: str, word: Callable[[], str]) -> Message:
    if letter in "BCD":
        calls = tuple(ToolCall("", number, _TOOL_NAME, {"at": word()}) for number in range(1 + (letter == "D")))
        return Message("assistant", word() if letter == "B" else "", tool_calls=calls)
    return Message(_ROLES[letter.upper()], "" if letter.islower() else word())

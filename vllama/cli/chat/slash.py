"""The commands of a chat: lines that begin with a slash. They change the conversation's settings and print."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vllama.cli import output
from vllama.cli.chat.conversation import Conversation
from vllama.cli.chat.loading import load
from vllama.cli.chat.parameters import PARAMETERS, read_parameter
from vllama.cli.remote import Remote
from vllama.cli.show import print_part, print_sections
from vllama.errors import BadRequest
from vllama.models.parameters import IDLE

_LEVELS: Final = ("low", "medium", "high", "max")


@dataclass(frozen=True, slots=True)
class ChatParts:
    """What a command may touch."""

    conversation: Conversation
    remote: Remote


class Leave(Exception):
    """The person wants to go."""


def is_command(line: str) -> bool:
    """``/set``, ``/?`` ... but not a path such as ``/etc/fstab is wrong``."""
    word = line.split(maxsplit=1)[0] if line else ""
    return word.startswith("/?") or (word.startswith("/") and word[1:].isalpha())


def obey(line: str, room: ChatParts) -> None:
    """Carry out one command. Raises Leave for ``/bye``, BadRequest for what can't be understood."""
    verb, _, rest = line.partition(" ")
    action = _VERBS.get(verb)
    if action is None:
        raise BadRequest(f"unknown command {verb!r}", hint="Type /? for help.")
    action(rest.strip(), room)


def _bye(_: str, __: ChatParts) -> None:
    raise Leave


def _clear(_: str, room: ChatParts) -> None:
    room.conversation.forget()
    output.line("Cleared session context")


def _load(rest: str, room: ChatParts) -> None:
    if not rest:
        raise BadRequest("/load needs the name of a model", hint="See: vllama list")
    load(room.remote, rest, room.conversation.settings.keep_alive)
    room.conversation.model = rest
    room.conversation.forget()


def _save(rest: str, room: ChatParts) -> None:
    if not rest:
        raise BadRequest("/save needs a name for the model that it makes")
    conversation = room.conversation
    body: dict[str, Any] = {
        "model": rest,
        "from": conversation.model,
        "messages": [{"role": turn["role"], "content": turn["content"]} for turn in conversation.turns],
    }
    if conversation.system:
        body["system"] = conversation.system
    if conversation.settings.options:
        body["parameters"] = conversation.settings.options
    for _ in room.remote.follow("/api/create", body):
        pass
    output.line(f"Created new model '{rest}'")


def _help(rest: str, _: ChatParts) -> None:
    if rest.lstrip("/") == "shortcuts":
        output.table([], _SHORTCUTS)
        return
    output.table([], _SET_HELP if rest.lstrip("/") == "set" else _SHOW_HELP if rest.lstrip("/") == "show" else _HELP)
    if not rest:
        output.line()
        output.line('Use """ to begin and to end a message of several lines.')
        output.line("Ctrl-C stops an answer, Ctrl-D leaves.")


def _show(rest: str, room: ChatParts) -> None:
    conversation = room.conversation
    part = rest or "info"
    if part not in {"info", "license", "modelfile", "parameters", "system", "template"}:
        _help("show", room)
        return
    if part == "system" and conversation.system:
        output.line(conversation.system)
        return
    if part == "parameters" and conversation.settings.options:
        output.line("Set in this session:")
        output.table([], [[f"  {name}", json.dumps(value)] for name, value in conversation.settings.options.items()])
        output.line("Stored in the model:")
    answer = room.remote.post("/api/show", {"model": conversation.model}, "model_info")
    if part == "info":
        print_sections(answer)
    elif answer.get(part):
        print_part(answer, part)
    else:
        output.line(f"No {part} was specified for this model.")


def _set(rest: str, room: ChatParts) -> None:
    what, _, value = rest.partition(" ")
    setter = _SETTERS.get(what)
    if setter is None:
        if what:
            raise BadRequest(f"unknown setting {what!r}", hint="Type /? set for the list.")
        _help("set", room)
        return
    output.line(setter(value.strip(), room.conversation))


def _set_system(value: str, conversation: Conversation) -> str:
    conversation.system = value
    return "Set system message." if value else "Back to the model's own system message."


def _set_parameter(value: str, conversation: Conversation) -> str:
    name, *words = value.split() or [""]
    if not words:
        raise BadRequest("/set parameter needs a name and a value", hint=f"Names: {', '.join(PARAMETERS)}")
    conversation.settings.options[name] = read_parameter(name, words)
    said = f"Set parameter {name} to {json.dumps(conversation.settings.options[name], ensure_ascii=False)}"
    return f"{said}. It has no effect: {IDLE[name]}" if name in IDLE else said


def _set_format(value: str, conversation: Conversation) -> str:
    if value != "json" and not value.startswith("{"):
        raise BadRequest("the format is json or a JSON schema")
    conversation.settings.format = read_format(value)
    return "Set format to JSON mode." if value == "json" else "Set format to a JSON schema."


def _no_format(_: str, conversation: Conversation) -> str:
    conversation.settings.format = None
    return "Disabled format."


def _set_think(value: str, conversation: Conversation) -> str:
    if value and value not in _LEVELS:
        raise BadRequest(f"a thinking level is one of {', '.join(_LEVELS)}")
    conversation.settings.think = value or True
    return f"Set 'think' mode to {value}." if value else "Set 'think' mode."


def _no_think(_: str, conversation: Conversation) -> str:
    conversation.settings.think = False
    return "Set 'nothink' mode."


def _verbose(_: str, conversation: Conversation) -> str:
    conversation.settings.verbose = True
    return "Set 'verbose' mode."


def _quiet(_: str, conversation: Conversation) -> str:
    conversation.settings.verbose = False
    return "Set 'quiet' mode."


def _word_wrap(_: str, conversation: Conversation) -> str:
    conversation.settings.word_wrap = True
    return "Set 'wordwrap' mode."


def _no_word_wrap(_: str, conversation: Conversation) -> str:
    conversation.settings.word_wrap = False
    return "Set 'nowordwrap' mode."


def read_format(text: str) -> str | Mapping[str, object]:
    """``json`` or the text of a JSON schema. Raises BadRequest."""
    if text == "json":
        return text
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"the format is neither json nor a JSON schema: {error}") from error
    if not isinstance(schema, dict):
        raise BadRequest("a JSON schema is an object")
    return schema


_VERBS: Final[Mapping[str, Callable[[str, ChatParts], None]]] = {
    "/set": _set,
    "/show": _show,
    "/load": _load,
    "/save": _save,
    "/clear": _clear,
    "/bye": _bye,
    "/exit": _bye,
    "/help": _help,
    "/?": _help,
}
_SETTERS: Final[Mapping[str, Callable[[str, Conversation], str]]] = {
    "system": _set_system,
    "parameter": _set_parameter,
    "format": _set_format,
    "noformat": _no_format,
    "think": _set_think,
    "nothink": _no_think,
    "verbose": _verbose,
    "quiet": _quiet,
    "wordwrap": _word_wrap,
    "nowordwrap": _no_word_wrap,
}
_HELP: Final = (
    ("  /set", "Change a setting of this session (/? set)"),
    ("  /show", "Show what the model is (/? show)"),
    ("  /load MODEL", "Go on with another model, without what was said"),
    ("  /save NAME", "Make a model NAME of this one, with what was set and said"),
    ("  /clear", "Forget what was said"),
    ("  /bye", "Leave"),
    ("  /?, /help", "This list"),
    ("  /? shortcuts", "Keys that edit the line"),
)
_SHORTCUTS: Final = (
    ("  Ctrl-A, Ctrl-E", "To the beginning, to the end of the line"),
    ("  Alt-B, Alt-F", "Back, forward by a word"),
    ("  Ctrl-K, Ctrl-U", "Delete what is after, before the cursor"),
    ("  Ctrl-W", "Delete the word before the cursor"),
    ("  Ctrl-R", "Look for a line that was typed before"),
    ("  Ctrl-L", "Clear the screen"),
    ("  Ctrl-C", "Stop the answer"),
    ("  Ctrl-D", "Leave"),
)
_SET_HELP: Final = (
    ("  /set parameter NAME VALUE", "Set an option, e.g. temperature 0.2"),
    ("  /set system TEXT", "Set the system message; without TEXT the model's own"),
    ("  /set format json", "Answers are JSON; a JSON schema may stand instead of json"),
    ("  /set noformat", "Answers are free text"),
    ("  /set think [LEVEL]", "Think before answering; LEVEL is low, medium, high or max"),
    ("  /set nothink", "Answer at once"),
    ("  /set verbose", "Show counts and times after each answer"),
    ("  /set quiet", "Don't show them"),
    ("  /set wordwrap", "Break lines between words"),
    ("  /set nowordwrap", "Print answers as they are"),
)
_SHOW_HELP: Final = (
    ("  /show info", "What the model is"),
    ("  /show license", "Its licence"),
    ("  /show modelfile", "Its Modelfile"),
    ("  /show parameters", "Its parameters, and those set here"),
    ("  /show system", "The current system message"),
    ("  /show template", "Its prompt template"),
)

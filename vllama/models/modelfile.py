"""Ollama's Modelfile: its text into a value, and a value into text. Pure.

The rules are those of Ollama's own reader, which is the client's: the server never sees the text. Like that reader,
this one drops characters that don't print (a no-break space, a zero-width one, a vertical tab) from values, and one of
them before a command.
"""

from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vllama.errors import VllamaError
from vllama.models.parameters import KINDS

COMMANDS: Final = (
    "from", "license", "template", "system", "adapter", "draft", "renderer", "parser", "parameter", "message",
    "requires",
)  # fmt: skip
ROLES: Final = ("system", "user", "assistant")

_UNKNOWN_COMMAND: Final = "command must be one of " + ", ".join(
    f'or "{name}"' if name == COMMANDS[-1] else f'"{name}"' for name in COMMANDS
)
_UNKNOWN_ROLE: Final = 'message role must be one of "system", "user", or "assistant"'
_CUT_OFF: Final = "unexpected EOF"
_DEPRECATED: Final = frozenset(
    {"penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock", "mirostat", "mirostat_tau",
     "mirostat_eta"}
)  # fmt: skip
_WORD: Final = re.compile(r"[A-Za-z]*")
_PARAMETER: Final = re.compile(r"[A-Za-z0-9_]*")
_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_TO_LINE_END: Final = re.compile(r"[^\r\n]*")
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf(?:inity)?|nan", re.IGNORECASE
)
_BOOLEANS: Final = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_WHITE: Final = " \t\r\n"
_SHOWN: Final = 60
"""Characters of a line that an error repeats."""
_QUOTES: Final = ('"""', '"')
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class ModelfileError(VllamaError):
    """The text is not a valid Modelfile; the message is Ollama's, and the hint has the line and what is in it."""

    code = "modelfile"
    status = 400


@dataclass(frozen=True, slots=True)
class Modelfile:
    """What a Modelfile says. ``base`` is a model's name or a path."""

    base: tuple[str, ...]
    """FROM; more than one only where the parts of a model are named one by one."""
    adapters: tuple[str, ...] = ()
    template: str = ""
    system: str = ""
    license: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """By Ollama's types: float, int, bool, and a list of strings for ``stop``."""
    messages: tuple[Mapping[str, str], ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    """``draft``, ``renderer``, ``parser`` and ``requires``, which mean nothing to vLLM."""
    dropped: tuple[str, ...] = ()
    """Parameters that nothing reads any more, neither here nor in Ollama."""

    def request(self) -> dict[str, Any]:
        """The fields of ``/api/create`` that don't depend on files."""
        fields = {
            "template": self.template,
            "system": self.system,
            "license": list(self.license),
            "parameters": dict(self.parameters),
            "messages": [dict(message) for message in self.messages],
        }
        return {name: value for name, value in fields.items() if value}


def parse_modelfile(text: str | bytes) -> Modelfile:
    """Raises ModelfileError in Ollama's words; bytes may begin with a byte order mark."""
    found: dict[str, list[str]] = {}
    parameters: dict[str, Any] = {}
    messages: list[Mapping[str, str]] = []
    dropped: list[str] = []
    read = _decoded(text) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    for line, command, name, value in _commands(read):
        if command == "parameter":
            if name in _DEPRECATED:
                dropped.append(name)
            else:
                _add_parameter(parameters, name, value, line)
        elif command == "message":
            messages.append({"role": name, "content": value})
        else:
            found.setdefault(command, []).append(value)
    if "from" not in found:
        raise ModelfileError("no FROM line", hint='Begin the Modelfile with "FROM" and the name of a model.')

    def last(command: str) -> str:
        return found.get(command, [""])[-1]

    return Modelfile(
        base=tuple(found["from"]),
        adapters=tuple(found.get("adapter", ())),
        template=last("template"),
        system=last("system"),
        license=tuple(found.get("license", ())),
        parameters=parameters,
        messages=tuple(messages),
        others={name: last(name) for name in ("draft", "renderer", "parser", "requires") if name in found},
        dropped=tuple(dropped),
    )


def write_modelfile(modelfile: Modelfile) -> str:
    """The text that reads back as the same value; the order is that of ``ollama show``."""
    lines = [f"FROM {base}" for base in modelfile.base]
    lines += [f"ADAPTER {quoted(adapter)}" for adapter in modelfile.adapters]
    if modelfile.template:
        lines.append(f"TEMPLATE {quoted(modelfile.template)}")
    if modelfile.system:
        lines.append(f"SYSTEM {quoted(modelfile.system)}")
    lines += [f"{name.upper()} {quoted(value)}" for name, value in modelfile.others.items()]
    for name, value in modelfile.parameters.items():
        lines += [
            f"PARAMETER {name} {quoted(_shown(item))}" for item in (value if isinstance(value, list) else [value])
        ]
    lines += [f"LICENSE {quoted(text)}" for text in modelfile.license]
    lines += [f"MESSAGE {message['role']} {quoted(message['content'])}" for message in modelfile.messages]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Bare where that reads back; else in quotes, in three where it holds one."""
    if text == text.strip() and not text.startswith('"') and "\n" not in text and "\r" not in text:
        return text
    return f'"""{text}"""' if '"' in text else f'"{text}"'


def _decoded(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def _commands(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Line, command in lower case, parameter or role (else empty), value."""
    at, line, counted = 0, 1, 0
    while (at := _end(_BLANKS, text, at)) < len(text):
        if text[at] == "#":
            at = _end(_TO_LINE_END, text, at)
            continue
        if not text[at].isprintable():
            at += 1
        line, counted, start = line + _breaks(text[counted:at]), at, at
        command, at = _word(_WORD, text, at)
        command = command.lower()
        if at >= len(text):
            raise ModelfileError(_CUT_OFF, hint=f"Line {line} ends after {_found(text, start)}, without a value.")
        if command not in COMMANDS or text[at] not in " \t":
            raise _at_line(text, at, _UNKNOWN_COMMAND, f"Line {line} begins with {_found(text, start)}.")
        at += 1
        name = ""
        if command in {"parameter", "message"}:
            name, at = _word(_PARAMETER if command == "parameter" else _WORD, text, at)
            if at >= len(text) or text[at] not in " \t":
                message = f"{_CUT_OFF}: {name}" if at < len(text) else _CUT_OFF
                raise ModelfileError(message, hint=f"Line {line}: {_found(text, start)} needs a name and a value.")
            if command == "message" and name not in ROLES:
                raise _at_line(text, at, _UNKNOWN_ROLE, f"Line {line} has the role {name!r}.")
            at += 1
        value, at = _value(text, at)
        yield line, command, name, value


def _word(pattern: re.Pattern[str], text: str, at: int) -> tuple[str, int]:
    end = _end(pattern, text, at)
    return text[at:end], end


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _value(text: str, at: int) -> tuple[str, int]:
    """Up to the end of the line, or of the line on which a quote is closed."""
    opened, end = at, _end(_TO_LINE_END, text, at)
    value = _visible(text[at:end]).strip(_WHITE)
    mark = next((mark for mark in _QUOTES if value.startswith(mark)), "")
    if not mark:
        return value, end
    lines: list[str] = []
    last = value.removeprefix(mark)
    while not last.rstrip(_WHITE).endswith(mark):
        if end >= len(text):
            begun = _breaks(text[:opened]) + 1
            raise ModelfileError(_CUT_OFF, hint=f"The quotes {mark} that open in line {begun} are never closed.")
        lines.append((last if lines else _visible(text[at:end]).lstrip(_WHITE).removeprefix(mark)) + text[end])
        at, end = end + 1, _end(_TO_LINE_END, text, end + 1)
        last = _visible(text[at:end])
    return "".join([*lines, last.rstrip(_WHITE).removesuffix(mark)]), end


def _visible(text: str) -> str:
    """Without characters that don't print; of the white ones, blanks and tabs do."""
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable() or char == "\t")


def _at_line(text: str, at: int, message: str, hint: str) -> ModelfileError:
    """At the line of the character that was wrong: a line break belongs to the next line, as Ollama counts."""
    breaks = sum(text.count(char, 0, at + 1) for char in "\r\n")
    return ModelfileError(f"(line {breaks + 1}): {message}", hint=hint)


def _breaks(text: str) -> int:
    """Line breaks as editors count them."""
    return len(_LINE_BREAK.findall(text))


def _found(text: str, at: int) -> str:
    """What is written there, for an error: the words of the line, shortened."""
    words = _visible(text[at : _end(_TO_LINE_END, text, at)]).strip(_WHITE)
    return repr(words if len(words) <= _SHOWN else f"{words[:_SHOWN]}...")


def _add_parameter(parameters: dict[str, Any], name: str, text: str, line: int) -> None:
    here = f"Line {line}: PARAMETER {name}"
    match KINDS.get(name):
        case "float":
            if not _NUMBER.fullmatch(text):
                raise ModelfileError(f"invalid float value [{text}]", hint=f"{here} must be a number.")
            parameters[name] = float(text)
        case "integer":
            if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII) or abs(int(text)) >= 2**63:
                raise ModelfileError(f"invalid int value [{text}]", hint=f"{here} must be a whole number.")
            parameters[name] = int(text)
        case "boolean":
            if text not in _BOOLEANS:
                raise ModelfileError(f"invalid bool value [{text}]", hint=f"{here} must be true or false.")
            parameters[name] = _BOOLEANS[text]
        case "strings":
            parameters[name] = [*parameters.get(name, ()), text]
        case None:
            close = difflib.get_close_matches(name, KINDS, n=1)
            meant = f"Did you mean {close[0]}?" if close else "It is no parameter of a model."
            raise ModelfileError(f"unknown parameter '{name}'", hint=f"{here}. {meant}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)

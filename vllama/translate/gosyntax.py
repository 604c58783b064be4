"""Finds the first JSON value of a body and says in Go's words what is wrong with it (contract 1.4). Pure.

This is the slow path: it runs only on bodies that orjson refuses, either because they are wrong or because bytes
follow the first value, which Go's decoder never reads.
"""

from __future__ import annotations

import re
from typing import Final

from vllama.quoting import excerpt

_BLANK = re.compile(rb"[ \t\r\n]*+")
_PLAIN = rb'[^"\\\x00-\x1f]'
_ESCAPE = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_STRING = rb'"(?:' + _PLAIN + rb"{1,1000}+|" + _ESCAPE + rb'){0,100}+"'  # a longer one is read by itself, once
_NUMBER = rb"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+"
_SCALAR = rb"(?:" + _STRING + rb"|" + _NUMBER + rb"(?![0-9.eE])|true|false|null|\[\]|\{\})"
_B = rb"[ \t\r\n]*+"
# long runs of plain members are skipped in one step
_ELEMENTS = re.compile(rb"(?:" + _B + _SCALAR + _B + rb",)++")
_MEMBERS = re.compile(rb"(?:" + _B + _STRING + _B + rb":" + _B + _SCALAR + _B + rb",)++")
# no match takes long: other threads run only between two of them
_STRING_PART = re.compile(rb"(?:" + _PLAIN + rb"{1,1000}+|" + _ESCAPE + rb"){1,1000}+")
_PLAIN_PART = re.compile(_PLAIN + rb"*+")
_DIGITS_PART = re.compile(rb"[0-9]{1,100000}+")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_DIGITS = frozenset(b"0123456789")
_TO_ESCAPE = re.compile(r'["\\]|[^ -~]')
_ESCAPES: Final = {
    "\\": r"\\", '"': r"\"",
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
}  # fmt: skip
_LITERALS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}

_MAX_DEPTH = 10_000  # Go's limit
_MAX_STEPS = 1_000_000  # about a second; the values that a body may hold need two or three each

UNEXPECTED_EOF = "unexpected EOF"


class JsonSyntaxError(ValueError):
    """The text of Go's ``*json.SyntaxError`` (or ``unexpected EOF``)."""


class NoValue(ValueError):
    """Nothing but blanks: Go's ``io.EOF``."""


def first_value(data: bytes, at: int = 0) -> tuple[int, int]:
    """Where the first JSON value from ``at`` on begins and ends; raises JsonSyntaxError or NoValue."""
    return _Scan(data, at).run()


def go_quote_char(char: int) -> str:
    """A byte as Go quotes it in an error: the byte is taken for a code point."""
    if char == ord("'"):
        return r"'\''"
    if char == ord('"'):
        return "'\"'"
    return "'" + go_quote(chr(char))[1:-1] + "'"


def go_quote(text: str) -> str:
    """``strconv.Quote``: double quotes, Go's escapes, what can't be printed as ``\\x``, ``\\u`` or ``\\U``."""
    return f'"{_TO_ESCAPE.sub(_escaped, text)}"'


def go_excerpt(text: str) -> str:
    """``go_quote`` for errors: at most the beginning of a long text."""
    return go_quote(excerpt(text))


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Scan:
    """One pass over the bytes with an explicit stack, so that depth costs no recursion."""

    __slots__ = ("at", "data", "stack")

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self.stack = bytearray()

    def run(self) -> tuple[int, int]:
        self.blank()
        if self.at == len(self.data):
            raise NoValue
        start = self.at
        done = self.value()
        for _ in range(_MAX_STEPS):
            if done:
                if not self.stack:
                    return start, self.at
                done = self.after_value()
            elif self.stack[-1] == ord("{"):
                done = self.member()
            else:
                self.skip(_ELEMENTS)
                done = self.value()
        raise JsonSyntaxError("the JSON is not valid and too large to say where")

    def skip(self, pattern: re.Pattern[bytes]) -> bool:
        """Go past what matches here, if anything does."""
        if found := pattern.match(self.data, self.at):
            self.at = found.end()
        return found is not None

    def blank(self) -> None:
        self.skip(_BLANK)

    def peek(self) -> int:
        if self.at >= len(self.data):
            raise JsonSyntaxError(UNEXPECTED_EOF)
        return self.data[self.at]

    def wrong(self, context: str) -> JsonSyntaxError:
        return JsonSyntaxError(f"invalid character {go_quote_char(self.data[self.at])} {context}")

    def value(self) -> bool:
        """Read a scalar (True: the value is complete) or open a container (False, or True when it is empty)."""
        self.blank()
        char = self.peek()
        if char in b"{[":
            return self.open(char)
        if char == ord('"'):
            self.string()
        elif char == ord("-") or char in _DIGITS:
            self.number()
        elif char in _LITERALS:
            self.literal(_LITERALS[char])
        else:
            raise self.wrong("looking for beginning of value")
        return True

    def open(self, char: int) -> bool:
        self.stack.append(char)
        if len(self.stack) > _MAX_DEPTH:
            raise self.wrong("exceeded max depth")
        self.at += 1
        self.blank()
        following = self.peek()
        if following == (ord("}") if char == ord("{") else ord("]")):
            self.at += 1
            self.stack.pop()
            return True
        return False

    def member(self) -> bool:
        """A key, the colon and the beginning of its value."""
        self.skip(_MEMBERS)
        self.blank()
        if self.peek() != ord('"'):
            raise self.wrong("looking for beginning of object key string")
        self.string()
        self.blank()
        if self.peek() != ord(":"):
            raise self.wrong("after object key")
        self.at += 1
        return self.value()

    def after_value(self) -> bool:
        self.blank()
        char, inside = self.peek(), self.stack[-1]
        if char == ord(","):
            self.at += 1
            return False
        if char == (ord("}") if inside == ord("{") else ord("]")):
            self.at += 1
            self.stack.pop()
            return True
        raise self.wrong("after object key:value pair" if inside == ord("{") else "after array element")

    def string(self) -> None:
        self.at += 1
        while self.skip(_STRING_PART):
            pass
        if self.peek() == ord('"'):
            self.at += 1
            return
        while True:  # there is an error in it somewhere
            self.skip(_PLAIN_PART)
            if self.peek() != ord("\\"):
                raise self.wrong("in string literal")
            self.at += 1
            if self.peek() == ord("u"):
                for _ in range(4):
                    self.at += 1
                    if self.peek() not in _HEX:
                        raise self.wrong(r"in \u hexadecimal character escape")
            elif self.peek() not in b'bfnrt\\/"':
                raise self.wrong("in string escape code")
            self.at += 1

    def number(self) -> None:
        if self.data[self.at] == ord("-"):
            self.at += 1
            if self.peek() not in _DIGITS:
                raise self.wrong("in numeric literal")
        if self.data[self.at] == ord("0"):
            self.at += 1
        else:
            self.digits()
        if self.next_is(b"."):
            self.some_digits("after decimal point in numeric literal")
        if self.next_is(b"eE"):
            self.next_is(b"+-")
            self.some_digits("in exponent of numeric literal")

    def next_is(self, chars: bytes) -> bool:
        if self.at < len(self.data) and self.data[self.at] in chars:
            self.at += 1
            return True
        return False

    def some_digits(self, context: str) -> None:
        if self.peek() not in _DIGITS:
            raise self.wrong(context)
        self.digits()

    def digits(self) -> None:
        while self.skip(_DIGITS_PART):
            pass

    def literal(self, word: bytes) -> None:
        for expected in word[1:]:
            self.at += 1
            if self.peek() != expected:
                raise self.wrong(f"in literal {word.decode()} (expecting {go_quote_char(expected)})")
        self.at += 1

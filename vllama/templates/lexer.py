"""Cuts a Go template into tokens: text, and what stands between ``{{`` and ``}}``. Pure.

Errors are tokens too: the parser reports the first one, as Go's does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from vllama.templates.quoting import go_excerpt, go_quote


class Kind(Enum):
    """What a token is."""

    TEXT = auto()
    OPEN = auto()
    CLOSE = auto()
    SPACE = auto()
    DECLARE = auto()
    ASSIGN = auto()
    PIPE = auto()
    LEFT_PAREN = auto()
    RIGHT_PAREN = auto()
    STRING = auto()
    RAW_STRING = auto()
    CHAR = auto()
    NUMBER = auto()
    BOOL = auto()
    NIL = auto()
    DOT = auto()
    FIELD = auto()
    VARIABLE = auto()
    WORD = auto()
    KEYWORD = auto()
    OTHER = auto()
    ERROR = auto()
    EOF = auto()


class Token(NamedTuple):
    """``at`` is the offset in the template; an ERROR's text is the message."""

    kind: Kind
    text: str
    at: int
    line: int

    def __str__(self) -> str:
        """As Go shows a token in a message."""
        if self.kind is Kind.EOF:
            return "EOF"
        if self.kind is Kind.ERROR:
            return self.text
        if self.kind in {Kind.KEYWORD, Kind.DOT, Kind.NIL}:
            return f"<{self.text}>"
        return go_quote(self.text[:10]) + "..." if len(self.text) > 10 else go_quote(self.text)


KEYWORDS: Final = frozenset({"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"})

_SPACES: Final = " \t\r\n"
_IS_SPACE: Final = frozenset(_SPACES)
_COMMENT_END: Final = re.compile(r"\*/")
_AFTER_COMMENT: Final = re.compile(r"([ \t\r\n]-)?\}\}")
_SIGNS: Final = {"=": Kind.ASSIGN, "|": Kind.PIPE}
# a name ends here; anything else after it is a "bad character"
_ENDS: Final = frozenset(" \t\r\n.,|:()")
_NAME: Final = re.compile(r"\w*")
_STRING: Final = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_CHAR: Final = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")
_NUMBER: Final = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)


def tokens(source: str) -> Iterator[Token]:
    """All tokens up to EOF or the first ERROR."""
    at = 0
    line = 1
    trim = False
    while True:
        opening = source.find("{{", at)
        end = len(source) if opening < 0 else opening
        begin = at
        text = source[at:end]
        if trim:
            text = text.lstrip(_SPACES)
            line += source.count("\n", begin, end - len(text))
            begin = end - len(text)
        trims_left = opening >= 0 and source[end + 2 : end + 3] == "-" and source[end + 3 : end + 4] in _IS_SPACE
        if trims_left:
            text = text.rstrip(_SPACES)
        if text:
            yield Token(Kind.TEXT, text, begin, line)
        line += source.count("\n", begin, end)
        if opening < 0:
            yield Token(Kind.EOF, "", end, line)
            return
        inside = end + (4 if trims_left else 2)
        if source.startswith("/*", inside):
            after, failed = _comment(source, inside)
            if failed:
                yield Token(Kind.ERROR, failed, inside, line)
                return
        else:
            yield Token(Kind.OPEN, "{{", opening, line)
            after = inside
            start_line = line + source.count("\n", opening, inside)
            for token in _action(source, inside, start_line):
                yield token
                if token.kind is Kind.ERROR:
                    return
                after = token.at + len(token.text)
        line += source.count("\n", opening, after)
        trim = source[after - 3 : after - 2] == "-" and source[after - 4 : after - 3] in _IS_SPACE
        at = after


def _comment(source: str, at: int) -> tuple[int, str]:
    """Where a comment's action ends, and an error."""
    closing = source.find("*/", at)
    if closing < 0:
        return 0, "unclosed comment"
    found = _AFTER_COMMENT.match(source, closing + 2)
    if found is None:
        return 0, "comment ends before closing delimiter"
    return found.end(), ""


def _action(source: str, at: int, line: int) -> Iterator[Token]:
    """Tokens of one action, its CLOSE included."""
    depth = 0
    while True:
        closing = "}}" if source.startswith("}}", at) else _trimmed_close(source, at)
        if closing:
            if depth:
                yield Token(Kind.ERROR, "unclosed left paren", at, line)
            else:
                yield Token(Kind.CLOSE, closing, at, line)
            return
        token = _next(source, at, line)
        if token.kind is Kind.LEFT_PAREN:
            depth += 1
        elif token.kind is Kind.RIGHT_PAREN:
            depth -= 1
            if depth < 0:
                token = Token(Kind.ERROR, "unexpected right paren", at, line)
        yield token
        if token.kind is Kind.ERROR:
            return
        at += len(token.text)
        line += token.text.count("\n")


def _trimmed_close(source: str, at: int) -> str:
    found = source[at : at + 4]
    return found if len(found) == 4 and found[0] in _SPACES and found[1:] == "-}}" else ""


def _next(source: str, at: int, line: int) -> Token:
    """One token inside an action that doesn't end here."""
    char = source[at : at + 1]
    if not char:
        return Token(Kind.ERROR, "unclosed action", at, line)
    if char in _SPACES:
        end = at + 1
        while source[end : end + 1] in _IS_SPACE and not source.startswith("-}}", end + 1):
            end += 1
        return Token(Kind.SPACE, source[at:end], at, line)
    if char in _SIGNS:
        return Token(_SIGNS[char], char, at, line)
    if char == ":":
        if source.startswith(":=", at):
            return Token(Kind.DECLARE, ":=", at, line)
        return Token(Kind.ERROR, "expected :=", at, line)
    if char == "(":
        return Token(Kind.LEFT_PAREN, char, at, line)
    if char == ")":
        return Token(Kind.RIGHT_PAREN, char, at, line)
    if char in "\"'`":
        return _quoted(source, at, line, char)
    if char == "$":
        return _named(source, at, line, Kind.VARIABLE)
    if char == "." and not source[at + 1 : at + 2].isdigit():
        return _named(source, at, line, Kind.FIELD)
    if char in "+-." or char.isdigit():
        return _number(source, at, line)
    if char.isalnum() or char == "_":
        return _named(source, at, line, Kind.WORD)
    if char.isascii() and char.isprintable():
        return Token(Kind.OTHER, char, at, line)
    return Token(Kind.ERROR, f"unrecognized character in action: {_unicode(char)}", at, line)


def _quoted(source: str, at: int, line: int, mark: str) -> Token:
    if mark == "`":
        end = source.find("`", at + 1)
        if end < 0:
            return Token(Kind.ERROR, "unterminated raw quoted string", at, line)
        return Token(Kind.RAW_STRING, source[at : end + 1], at, line)
    found = (_STRING if mark == '"' else _CHAR).match(source, at)
    if found is None:
        what = "unterminated quoted string" if mark == '"' else "unterminated character constant"
        return Token(Kind.ERROR, what, at, line)
    return Token(Kind.STRING if mark == '"' else Kind.CHAR, found[0], at, line)


def _named(source: str, at: int, line: int, kind: Kind) -> Token:
    """A variable, field or word; it must end where a name may end."""
    start = at if kind is Kind.WORD else at + 1
    found = _NAME.match(source, start)
    end = start if found is None else found.end()
    text = source[at:end]
    after = source[end : end + 1]
    if after and after not in _ENDS and not source.startswith("}}", end):
        return Token(Kind.ERROR, f"bad character {_unicode(after)}", at, line)
    if text == ".":
        kind = Kind.DOT
    elif kind is Kind.WORD:
        if text in KEYWORDS:
            kind = Kind.KEYWORD
        elif text in {"true", "false"}:
            kind = Kind.BOOL
        elif text == "nil":
            kind = Kind.NIL
    return Token(kind, text, at, line)


def _number(source: str, at: int, line: int) -> Token:
    found = _NUMBER.match(source, at)
    end = at if found is None else found.end()
    after = source[end : end + 1]
    if after.isalnum() or (after and after in "_+-"):
        return Token(Kind.ERROR, f"bad number syntax: {go_excerpt(source[at : end + 1])}", at, line)
    return Token(Kind.NUMBER, source[at:end], at, line)


def _unicode(char: str) -> str:
    """Go's ``%#U``."""
    shown = f" '{char}'" if char.isprintable() else ""
    return f"U+{ord(char):04X}{shown}"

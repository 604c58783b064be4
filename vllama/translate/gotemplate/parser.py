"""Tokens to nodes, with Go's messages for what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

from vllama.translate.gotemplate.constants import character, number, unquote
from vllama.translate.gotemplate.faults import TemplateError
from vllama.translate.gotemplate.functions import NAMES
from vllama.translate.gotemplate.lexer import Kind, Token, quote, tokens
from vllama.translate.gotemplate.nodes import (
    Action,
    Break,
    Chain,
    Command,
    Constant,
    Continue,
    Dot,
    Field,
    If,
    Include,
    Nil,
    Operand,
    Pipe,
    Range,
    Statement,
    Statements,
    Template,
    Text,
    Variable,
    With,
    Word,
)

MAX_DEPTH: Final = 100
"""Blocks and parentheses within each other."""
MAX_LENGTH: Final = 1 << 20
"""Characters of a template."""
_REMEMBERED: Final = 256

_OPERANDS: Final = frozenset(
    {Kind.BOOL, Kind.CHAR, Kind.DOT, Kind.FIELD, Kind.WORD, Kind.NUMBER, Kind.NIL, Kind.RAW_STRING, Kind.STRING,
     Kind.VARIABLE, Kind.LEFT_PAREN}
)  # fmt: skip
_BRANCHES: Final[Mapping[str, type[If | With | Range]]] = {"if": If, "with": With, "range": Range}


def parse(source: str) -> Template:
    """Raises TemplateError with Go's text. A template is parsed once and then remembered by its text."""
    if len(source) > MAX_LENGTH:
        raise TemplateError(f"template: the template is longer than {MAX_LENGTH} characters")
    return _parse(source)


@lru_cache(maxsize=_REMEMBERED)
def _parse(source: str) -> Template:
    return _Parser(source, NAMES).template()


class _Parser:
    """One pass over the tokens: ``_read`` of them are taken, ``_seen`` is the last one looked at."""

    def __init__(self, source: str, functions: Collection[str]) -> None:
        self._source = source
        self._functions = functions
        self._tokens = list(tokens(source))
        self._read = 0
        self._seen = 0
        self._variables = ["$"]
        self._ranges = 0
        self._depth = 0
        self._action_line = 0
        self._defined: dict[str, Statements] = {}

    def template(self) -> Template:
        root: list[Statement] = []
        while (token := self._peek()).kind is not Kind.EOF:
            if token.kind is Kind.OPEN and self._after_space(self._read + 1, "define"):
                self._definition()
            else:
                statement, stopped = self._statement()
                if stopped:
                    raise self._error(f"unexpected {{{{{stopped}}}}}")
                if statement is not None:
                    root.append(statement)
        return Template(self._source, tuple(root), self._defined)

    # tokens

    def _peek(self) -> Token:
        at = min(self._read, len(self._tokens) - 1)
        self._seen = max(self._seen, at)
        return self._tokens[at]

    def _next(self) -> Token:
        token = self._peek()
        self._read += 1
        return token

    def _skip_space(self) -> Token:
        """The next token that is no white space, not yet taken."""
        if self._peek().kind is Kind.SPACE:
            self._read += 1
        return self._peek()

    def _next_word(self) -> Token:
        self._skip_space()
        return self._next()

    def _after_space(self, at: int, keyword: str) -> bool:
        found = self._tokens[at : at + 2]
        found = [token for token in found if token.kind is not Kind.SPACE]
        return bool(found) and found[0].kind is Kind.KEYWORD and found[0].text == keyword

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._next_word()
        if token.kind is not kind:
            raise self._unexpected(token, context)
        return token

    # errors

    def _error(self, text: str) -> TemplateError:
        """At the line of the last token looked at."""
        return TemplateError(f"template: :{self._tokens[self._seen].line}: {text}")

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind is not Kind.ERROR:
            return self._error(f"unexpected {token} in {context}")
        started = ""
        if self._action_line and self._action_line != token.line:
            started = f" in action started at :{self._action_line}"
            if token.text.endswith(" action"):
                started = started.removeprefix(" in action")
        return self._error(f"{token}{started}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"the template nests more than {MAX_DEPTH} levels deep")

    # statements

    def _definition(self) -> None:
        self._next()
        self._next_word()
        context = "define clause"
        name = self._template_name(self._next_word(), context)
        self._expect(Kind.CLOSE, context)
        outer, self._variables = self._variables, ["$"]
        ranges, self._ranges = self._ranges, 0
        body, stopped = self._list()
        if stopped != "end":
            raise self._error(f"unexpected {{{{{stopped}}}}} in {context}")
        self._variables, self._ranges = outer, ranges
        self._define(name, body)

    def _define(self, name: str, body: Statements) -> None:
        empty = all(isinstance(statement, Text) and not statement.text.strip() for statement in body)
        if name in self._defined and not empty and self._defined[name]:
            raise self._error(f"template: multiple definition of template {quote(name)}")
        if name not in self._defined or not empty:
            self._defined[name] = () if empty else body

    def _template_name(self, token: Token, context: str) -> str:
        if token.kind not in {Kind.STRING, Kind.RAW_STRING}:
            raise self._unexpected(token, context)
        return self._unquoted(token)

    def _unquoted(self, token: Token) -> str:
        text = unquote(token.text)
        if text is None:
            raise self._error("invalid syntax")
        return text

    def _list(self) -> tuple[Statements, str]:
        """Statements up to ``end`` or ``else``, and which of the two it was."""
        self._deeper()
        found: list[Statement] = []
        while self._skip_space().kind is not Kind.EOF:
            statement, stopped = self._statement()
            if stopped:
                self._depth -= 1
                return tuple(found), stopped
            if statement is not None:
                found.append(statement)
        raise self._error("unexpected EOF")

    def _statement(self) -> tuple[Statement | None, str]:
        """One statement, or the word that ends a list of them."""
        token = self._next_word()
        if token.kind is Kind.TEXT:
            return Text(token.at, token.text), ""
        if token.kind is not Kind.OPEN:
            raise self._unexpected(token, "input")
        self._action_line = token.line
        try:
            return self._action()
        finally:
            self._action_line = 0

    def _action(self) -> tuple[Statement | None, str]:
        token = self._skip_space()
        if token.kind is not Kind.KEYWORD or token.text == "define":
            pipe = self._pipeline("command", Kind.CLOSE)
            return Action(token.at, pipe), ""
        self._next()
        match token.text:
            case "end":
                self._expect(Kind.CLOSE, "end")
                return None, "end"
            case "else":
                # an else if (or else with) is left to the branch that it belongs to
                if (after := self._skip_space()).kind is not Kind.KEYWORD or after.text not in {"if", "with"}:
                    self._expect(Kind.CLOSE, "else")
                return None, "else"
            case "break" | "continue" as word:
                if (after := self._next_word()).kind is not Kind.CLOSE:
                    raise self._unexpected(after, f"{{{{{word}}}}}")
                if not self._ranges:
                    raise self._error(f"{{{{{word}}}}} outside {{{{range}}}}")
                return (Break(token.at) if word == "break" else Continue(token.at)), ""
            case "template":
                return self._include(), ""
            case "block":
                return self._block(token), ""
            case word:
                return self._branch(token, word), ""

    def _branch(self, token: Token, word: str) -> Statement:
        known = len(self._variables)
        pipe = self._pipeline(word, Kind.CLOSE)
        self._ranges += word == "range"
        body, stopped = self._list()
        self._ranges -= word == "range"
        otherwise: Statements = ()
        if stopped == "else":
            after = self._peek()
            if after.kind is Kind.KEYWORD and after.text in {"if", "with"}:
                if after.text != word:
                    raise self._unexpected(self._next(), "input")
                self._next()
                self._deeper()
                otherwise = (self._branch(after, word),)
                self._depth -= 1
            else:
                otherwise, stopped = self._list()
                if stopped != "end":
                    raise self._error(f"expected end; found {{{{{stopped}}}}}")
        del self._variables[known:]
        return _BRANCHES[word](token.at, pipe, body, otherwise)

    def _include(self) -> Include:
        context = "template clause"
        named = self._next_word()
        name = self._template_name(named, context)
        if self._skip_space().kind is Kind.CLOSE:
            self._next()
            return Include(named.at, name, None)
        return Include(named.at, name, self._pipeline(context, Kind.CLOSE))

    def _block(self, token: Token) -> Include:
        context = "block clause"
        name = self._template_name(self._next_word(), context)
        pipe = self._pipeline(context, Kind.CLOSE)
        outer, self._variables = self._variables, ["$"]
        ranges, self._ranges = self._ranges, 0
        body, stopped = self._list()
        if stopped != "end":
            raise self._error(f"unexpected {{{{{stopped}}}}} in {context}")
        self._variables, self._ranges = outer, ranges
        self._define(name, body)
        return Include(token.at, name, pipe)

    # pipelines

    def _pipeline(self, context: str, end: Kind) -> Pipe:
        at = self._skip_space().at
        variables, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self._next_word()
            if token.kind is end:
                break
            if token.kind not in _OPERANDS:
                raise self._unexpected(token, context)
            self._read -= 1
            commands.append(self._command())
        if not commands:
            raise self._error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.args[0], Dot | Nil | Constant):
                raise self._error(f"non executable command in pipeline stage {stage}")
        return Pipe(at, tuple(commands), variables, assigns)

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """``$x :=``, ``$x =`` or, in a range, ``$i, $x :=``."""
        found: list[str] = []
        while (variable := self._skip_space()).kind is Kind.VARIABLE:
            before = self._read
            self._next()
            token = self._skip_space()
            if token.kind in {Kind.ASSIGN, Kind.DECLARE}:
                self._next()
                found.append(variable.text)
                self._variables.append(variable.text)
                return tuple(found), token.kind is Kind.ASSIGN
            if token.kind is not Kind.OTHER or token.text != ",":
                self._read = before
                break
            self._next()
            found.append(variable.text)
            self._variables.append(variable.text)
            if context != "range" or len(found) > 1:
                raise self._error(f"too many declarations in {context}")
            if self._skip_space().kind not in {Kind.VARIABLE, Kind.CLOSE, Kind.RIGHT_PAREN}:
                raise self._error("range can only initialize variables")
        return tuple(found), False

    def _command(self) -> Command:
        at = self._skip_space().at
        args: list[Operand] = []
        while True:
            self._skip_space()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in {Kind.CLOSE, Kind.RIGHT_PAREN}:
                self._read -= 1
            elif token.kind is not Kind.PIPE:
                raise self._unexpected(token, "operand")
            break
        if not args:
            raise self._error("empty command")
        return Command(at, tuple(args))

    def _operand(self) -> Operand | None:
        term = self._term()
        if term is None or self._peek().kind is not Kind.FIELD:
            return term
        first = self._peek().at
        fields: list[str] = []
        while self._peek().kind is Kind.FIELD:
            fields.append(self._next().text[1:])
        if isinstance(term, Field):
            return Field(first, (*term.names, *fields))
        if isinstance(term, Variable):
            return Variable(first, term.name, (*term.fields, *fields))
        if isinstance(term, Dot | Nil | Constant):
            raise self._error(f"unexpected . after term {quote(str(term))}")
        return Chain(first, term, tuple(fields))

    def _term(self) -> Operand | None:
        token = self._next_word()
        match token.kind:
            case Kind.WORD:
                if token.text not in self._functions:
                    raise self._error(f"function {quote(token.text)} not defined")
                return Word(token.at, token.text)
            case Kind.DOT:
                return Dot(token.at)
            case Kind.NIL:
                return Nil(token.at)
            case Kind.VARIABLE:
                if token.text not in self._variables:
                    raise self._error(f"undefined variable {quote(token.text)}")
                return Variable(token.at, token.text)
            case Kind.FIELD:
                return Field(token.at, (token.text[1:],))
            case Kind.BOOL:
                return Constant(token.at, token.text == "true", token.text)
            case Kind.NUMBER | Kind.CHAR:
                value = number(token.text) if token.kind is Kind.NUMBER else character(token.text)
                if isinstance(value, str):
                    raise self._error(value)
                return Constant(token.at, value, token.text)
            case Kind.STRING | Kind.RAW_STRING:
                return Constant(token.at, self._unquoted(token), token.text)
            case Kind.LEFT_PAREN:
                self._deeper()
                pipe = self._pipeline("parenthesized pipeline", Kind.RIGHT_PAREN)
                self._depth -= 1
                return pipe
            case _:
                self._read -= 1
                return None

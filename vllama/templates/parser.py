"""Tokens to nodes, with Go's messages for what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

from vllama.templates.constants import character, number, unquote
from vllama.templates.cursor import Cursor
from vllama.templates.faults import TemplateError
from vllama.templates.functions import NAMES
from vllama.templates.lexer import Kind, Token, tokens
from vllama.templates.nodes import (
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
from vllama.templates.quoting import go_excerpt
from vllama.templates.scopes import VariableScope

MAX_DEPTH: Final = 100
"""Blocks and parentheses within each other."""
MAX_LENGTH: Final = 1 << 16
"""Characters of a template."""
REMEMBERED: Final = 64
"""Parsed templates that are kept ..."""
REMEMBERED_LENGTH: Final = 1 << 14
"""... when they are no longer than this: a parsed one takes up to a hundred bytes for each of its characters."""

_OPERANDS: Final = frozenset(
    {Kind.BOOL, Kind.CHAR, Kind.DOT, Kind.FIELD, Kind.WORD, Kind.NUMBER, Kind.NIL, Kind.RAW_STRING, Kind.STRING,
     Kind.VARIABLE, Kind.LEFT_PAREN}
)  # fmt: skip
_BRANCHES: Final[Mapping[str, type[If | With | Range]]] = {"if": If, "with": With, "range": Range}


def parse(source: str) -> Template:
    """Raises TemplateError with Go's text. A template of usual size is parsed once and remembered by its text."""
    if len(source) > MAX_LENGTH:
        raise TemplateError(f"template: the template is longer than {MAX_LENGTH} characters")
    return _remembered(source) if len(source) <= REMEMBERED_LENGTH else _parse(source)


def _parse(source: str) -> Template:
    return _Parser(source, NAMES).template()


_remembered: Final = lru_cache(maxsize=REMEMBERED)(_parse)


class _Parser(Cursor):
    """Statements and what they are made of, by recursive descent."""

    def __init__(self, source: str, functions: Collection[str]) -> None:
        super().__init__(tokens(source))
        self._source = source
        self._functions = functions
        self._variables = VariableScope()
        self._ranges = 0
        self._depth = 0
        self._defined: dict[str, Statements] = {}

    def template(self) -> Template:
        root: list[Statement] = []
        while (token := self.peek()).kind is not Kind.EOF:
            if token.kind is Kind.OPEN and self.follows("define"):
                self._definition()
            else:
                statement, stopped = self._statement()
                if stopped:
                    raise self.error(f"unexpected {{{{{stopped}}}}}")
                if statement is not None:
                    root.append(statement)
        return Template(self._source, tuple(root), self._defined)

    # statements

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"the template nests more than {MAX_DEPTH} levels deep")

    def _definition(self) -> None:
        self.next()
        self.next_word()
        context = "define clause"
        name = self._template_name(self.next_word(), context)
        self.expect(Kind.CLOSE, context)
        outer, self._variables = self._variables, VariableScope()
        ranges, self._ranges = self._ranges, 0
        body, stopped = self._list()
        if stopped != "end":
            raise self.error(f"unexpected {{{{{stopped}}}}} in {context}")
        self._variables, self._ranges = outer, ranges
        self._define(name, body)

    def _define(self, name: str, body: Statements) -> None:
        empty = all(isinstance(statement, Text) and not statement.text.strip() for statement in body)
        if name in self._defined and not empty and self._defined[name]:
            raise self.error(f"template: multiple definition of template {go_excerpt(name)}")
        if name not in self._defined or not empty:
            self._defined[name] = () if empty else body

    def _template_name(self, token: Token, context: str) -> str:
        if token.kind not in {Kind.STRING, Kind.RAW_STRING}:
            raise self.unexpected(token, context)
        return self._unquoted(token)

    def _unquoted(self, token: Token) -> str:
        text = unquote(token.text)
        if text is None:
            raise self.error("invalid syntax")
        return text

    def _list(self) -> tuple[Statements, str]:
        """Statements up to ``end`` or ``else``, and which of the two it was."""
        self._deeper()
        found: list[Statement] = []
        while self.skip_space().kind is not Kind.EOF:
            statement, stopped = self._statement()
            if stopped:
                self._depth -= 1
                return tuple(found), stopped
            if statement is not None:
                found.append(statement)
        raise self.error("unexpected EOF")

    def _statement(self) -> tuple[Statement | None, str]:
        """One statement, or the word that ends a list of them."""
        token = self.next_word()
        if token.kind is Kind.TEXT:
            return Text(token.at, token.text), ""
        if token.kind is not Kind.OPEN:
            raise self.unexpected(token, "input")
        self.action_line = token.line
        try:
            return self._action()
        finally:
            self.action_line = 0

    def _action(self) -> tuple[Statement | None, str]:
        token = self.skip_space()
        if token.kind is not Kind.KEYWORD or token.text == "define":
            pipe = self._pipeline("command", Kind.CLOSE)
            return Action(token.at, pipe), ""
        self.next()
        match token.text:
            case "end":
                self.expect(Kind.CLOSE, "end")
                return None, "end"
            case "else":
                # an else if (or else with) is left to the branch that it belongs to
                if (after := self.skip_space()).kind is not Kind.KEYWORD or after.text not in {"if", "with"}:
                    self.expect(Kind.CLOSE, "else")
                return None, "else"
            case "break" | "continue" as word:
                if (after := self.next_word()).kind is not Kind.CLOSE:
                    raise self.unexpected(after, f"{{{{{word}}}}}")
                if not self._ranges:
                    raise self.error(f"{{{{{word}}}}} outside {{{{range}}}}")
                return (Break(token.at) if word == "break" else Continue(token.at)), ""
            case "template":
                return self._include(), ""
            case "block":
                return self._block(token), ""
            case word:
                return self._branch(token, word), ""

    def _branch(self, token: Token, word: str) -> Statement:
        known = self._variables.size
        pipe = self._pipeline(word, Kind.CLOSE)
        self._ranges += word == "range"
        body, stopped = self._list()
        self._ranges -= word == "range"
        otherwise: Statements = ()
        if stopped == "else":
            after = self.peek()
            if after.kind is Kind.KEYWORD and after.text in {"if", "with"}:
                if after.text != word:
                    raise self.unexpected(self.next(), "input")
                self.next()
                self._deeper()
                otherwise = (self._branch(after, word),)
                self._depth -= 1
            else:
                otherwise, stopped = self._list()
                if stopped != "end":
                    raise self.error(f"expected end; found {{{{{stopped}}}}}")
        self._variables.shrink(known)
        return _BRANCHES[word](token.at, pipe, body, otherwise)

    def _include(self) -> Include:
        context = "template clause"
        named = self.next_word()
        name = self._template_name(named, context)
        if self.skip_space().kind is Kind.CLOSE:
            self.next()
            return Include(named.at, name, None)
        return Include(named.at, name, self._pipeline(context, Kind.CLOSE))

    def _block(self, token: Token) -> Include:
        context = "block clause"
        name = self._template_name(self.next_word(), context)
        pipe = self._pipeline(context, Kind.CLOSE)
        outer, self._variables = self._variables, VariableScope()
        ranges, self._ranges = self._ranges, 0
        body, stopped = self._list()
        if stopped != "end":
            raise self.error(f"unexpected {{{{{stopped}}}}} in {context}")
        self._variables, self._ranges = outer, ranges
        self._define(name, body)
        return Include(token.at, name, pipe)

    # pipelines

    def _pipeline(self, context: str, end: Kind) -> Pipe:
        at = self.skip_space().at
        variables, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self.next_word()
            if token.kind is end:
                break
            if token.kind not in _OPERANDS:
                raise self.unexpected(token, context)
            self.back()
            commands.append(self._command())
        if not commands:
            raise self.error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.args[0], Dot | Nil | Constant):
                raise self.error(f"non executable command in pipeline stage {stage}")
        return Pipe(at, tuple(commands), variables, assigns)

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """``$x :=``, ``$x =`` or, in a range, ``$i, $x :=``."""
        found: list[str] = []
        while (variable := self.skip_space()).kind is Kind.VARIABLE:
            before = self.taken
            self.next()
            token = self.skip_space()
            if token.kind in {Kind.ASSIGN, Kind.DECLARE}:
                self.next()
                found.append(variable.text)
                self._variables.declare(variable.text)
                return tuple(found), token.kind is Kind.ASSIGN
            if token.kind is not Kind.OTHER or token.text != ",":
                self.taken = before
                break
            self.next()
            found.append(variable.text)
            self._variables.declare(variable.text)
            if context != "range" or len(found) > 1:
                raise self.error(f"too many declarations in {context}")
            if self.skip_space().kind not in {Kind.VARIABLE, Kind.CLOSE, Kind.RIGHT_PAREN}:
                raise self.error("range can only initialize variables")
        return tuple(found), False

    def _command(self) -> Command:
        at = self.skip_space().at
        args: list[Operand] = []
        while True:
            self.skip_space()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self.next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in {Kind.CLOSE, Kind.RIGHT_PAREN}:
                self.back()
            elif token.kind is not Kind.PIPE:
                raise self.unexpected(token, "operand")
            break
        if not args:
            raise self.error("empty command")
        return Command(at, tuple(args))

    def _operand(self) -> Operand | None:
        term = self._term()
        if term is None or self.peek().kind is not Kind.FIELD:
            return term
        first = self.peek().at
        fields: list[str] = []
        while self.peek().kind is Kind.FIELD:
            fields.append(self.next().text[1:])
        if isinstance(term, Field):
            return Field(first, (*term.names, *fields))
        if isinstance(term, Variable):
            return Variable(first, term.name, (*term.fields, *fields))
        if isinstance(term, Dot | Nil | Constant):
            raise self.error(f"unexpected . after term {go_excerpt(str(term))}")
        return Chain(first, term, tuple(fields))

    def _term(self) -> Operand | None:
        token = self.next_word()
        match token.kind:
            case Kind.WORD:
                if token.text not in self._functions:
                    raise self.error(f"function {go_excerpt(token.text)} not defined")
                return Word(token.at, token.text)
            case Kind.DOT:
                return Dot(token.at)
            case Kind.NIL:
                return Nil(token.at)
            case Kind.VARIABLE:
                if token.text not in self._variables:
                    raise self.error(f"undefined variable {go_excerpt(token.text)}")
                return Variable(token.at, token.text)
            case Kind.FIELD:
                return Field(token.at, (token.text[1:],))
            case Kind.BOOL:
                return Constant(token.at, token.text == "true", token.text)
            case Kind.NUMBER | Kind.CHAR:
                value = number(token.text) if token.kind is Kind.NUMBER else character(token.text)
                if isinstance(value, str):
                    raise self.error(value)
                return Constant(token.at, value, token.text)
            case Kind.STRING | Kind.RAW_STRING:
                return Constant(token.at, self._unquoted(token), token.text)
            case Kind.LEFT_PAREN:
                self._deeper()
                pipe = self._pipeline("parenthesized pipeline", Kind.RIGHT_PAREN)
                self._depth -= 1
                return pipe
            case _:
                self.back()
                return None

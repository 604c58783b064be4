"""Runs a parsed template over data. Pure, and within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from vllama.quoting import excerpt
from vllama.templates.comparing import CallError
from vllama.templates.faults import TemplateError
from vllama.templates.functions import FUNCTIONS, Context, Days
from vllama.templates.limits import Budget
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
    Node,
    Operand,
    Pipe,
    Range,
    Statements,
    Template,
    Text,
    Variable,
    With,
    Word,
)
from vllama.templates.printing import shown, verb_v
from vllama.templates.quoting import go_excerpt
from vllama.templates.scopes import VariableScope
from vllama.templates.values import MISSING, Struct, Value, truth, type_name

_NO_DAYS: Final = Days()
# a union would be built again at each look
_PATHS: Final = (Field, Variable, Chain)
_BRANCHES: Final = (If, With)
_LISTS: Final = (list, tuple)


class _Break(Exception):
    """``{{break}}`` on its way to its range."""


class _Continue(Exception):
    """``{{continue}}`` on its way to its range."""


def render(
    template: Template, data: Mapping[str, Value], *, days: Days = _NO_DAYS, budget: Budget | None = None
) -> str:
    """The text that the template makes of ``data``; raises TemplateError."""
    run = _Run(template, days, budget or Budget())
    dot = dict(data)
    run.execute("", template.root, dot)
    return "".join(run.out)


class _Run:
    """One execution: the text so far and the variables in scope, innermost last."""

    def __init__(self, template: Template, days: Days, budget: Budget) -> None:
        self.out: list[str] = []
        self._template = template
        self._budget = budget
        self._context = Context(budget, days)
        self._name = ""
        self._variables = VariableScope()

    def execute(self, name: str, body: Statements, dot: Value) -> None:
        """Run a whole template with variables of its own."""
        outer = self._name, self._variables
        self._name, self._variables = name, VariableScope(dot)
        self._statements(body, dot)
        self._name, self._variables = outer

    def _error(self, node: Node, text: str) -> TemplateError:
        place = self._template.place(node)
        return TemplateError(
            f"template: :{place}: executing {go_excerpt(self._name)} at <{excerpt(str(node))}>: {text}"
        )

    # statements

    def _statements(self, body: Statements, dot: Value) -> None:
        self._budget.enter()
        for statement in body:
            self._budget.step()
            if isinstance(statement, Text):
                self._budget.text(len(statement.text))
                self.out.append(statement.text)
            elif isinstance(statement, Action):
                value = self._pipe(statement.pipe, dot)
                if not statement.pipe.variables:
                    self.out.append(shown(value, self._budget))
            elif isinstance(statement, _BRANCHES):
                self._branch(statement, dot)
            elif isinstance(statement, Range):
                self._range(statement, dot)
            elif isinstance(statement, Include):
                self._include(statement, dot)
            elif isinstance(statement, Break):
                raise _Break
            elif isinstance(statement, Continue):
                raise _Continue
        self._budget.depth -= 1

    def _branch(self, statement: If | With, dot: Value) -> None:
        known = self._variables.size
        value = self._pipe(statement.pipe, dot)
        if truth(value):
            self._statements(statement.body, value if isinstance(statement, With) else dot)
        elif statement.otherwise:
            self._statements(statement.otherwise, dot)
        self._variables.shrink(known)

    def _range(self, statement: Range, dot: Value) -> None:
        outer = self._variables.size
        value = self._pipe(statement.pipe, dot)
        known, depth = self._variables.size, self._budget.depth
        empty = True
        try:
            for index, element in self._elements(statement, value):
                empty = False
                self._budget.step()
                self._loop_variables(statement.pipe, index, element)
                try:
                    self._statements(statement.body, element)
                except _Continue:
                    self._budget.depth = depth
                self._variables.shrink(known)
        except _Break:
            self._budget.depth = depth
        if empty and statement.otherwise:
            self._variables.shrink(known)
            self._statements(statement.otherwise, dot)
        self._variables.shrink(outer)

    def _elements(self, statement: Range, value: Value) -> Iterable[tuple[Value, Value]]:
        if value is None:
            return ()
        if isinstance(value, _LISTS):
            return enumerate(value)
        if isinstance(value, dict):
            self._budget.step(len(value))
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            if len(statement.pipe.variables) > 1:
                raise self._error(_last(statement.pipe), f"can't use {value} to iterate over more than one variable")
            return ((number, number) for number in range(value))
        raise self._error(_last(statement.pipe), f"range can't iterate over {excerpt(verb_v(value, self._budget))}")

    def _loop_variables(self, pipe: Pipe, index: Value, element: Value) -> None:
        names = pipe.variables
        if not names:
            return
        values = (element,) if len(names) == 1 else (index, element)
        for name, value in zip(names, values, strict=True):
            self._set(pipe, name, value)

    def _include(self, statement: Include, dot: Value) -> None:
        body = self._template.defined.get(statement.name)
        if body is None:
            raise self._error(statement, f"template {go_excerpt(statement.name)} not defined")
        value = self._pipe(statement.pipe, dot) if statement.pipe is not None else None
        self.execute(statement.name, body, value)

    # pipelines

    def _set(self, pipe: Pipe, name: str, value: Value) -> None:
        if name not in self._variables:
            raise self._error(_last(pipe), f"undefined variable: {excerpt(name)}")
        self._variables.assign(name, value)

    def _pipe(self, pipe: Pipe, dot: Value) -> Value:
        value: Value = MISSING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.variables:
            if pipe.assigns:
                self._set(pipe, name, value)
            else:
                self._variables.declare(name, value)
        return value

    def _command(self, command: Command, dot: Value, final: Value) -> Value:
        """``final``: the result of the command before, this one's last argument."""
        self._budget.step()
        first = command.args[0]
        if isinstance(first, Word):
            return self._call(first, command, command.args[1:], dot, final)
        if isinstance(first, _PATHS):
            return self._fields(first, dot, has_args=len(command.args) > 1 or final is not MISSING)
        if len(command.args) > 1 or final is not MISSING:
            raise self._error(first, f"can't give argument to non-function {excerpt(str(first))}")
        if isinstance(first, Nil):
            raise self._error(first, "nil is not a command")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Value) -> Value:
        """The value of an argument."""
        if isinstance(operand, Constant):
            return operand.value
        if isinstance(operand, _PATHS):
            return self._fields(operand, dot, has_args=False)
        if isinstance(operand, Dot):
            return dot
        if isinstance(operand, Pipe):
            self._budget.enter()
            value = self._pipe(operand, dot)
            self._budget.depth -= 1
            return value
        if isinstance(operand, Word):
            return self._call(operand, operand, (), dot, MISSING)
        return None

    def _fields(self, node: Field | Variable | Chain, dot: Value, *, has_args: bool) -> Value:
        if isinstance(node, Field):
            value, names = dot, node.names
        elif isinstance(node, Variable):
            value, names = self._variable(node), node.fields
            if not names and has_args:
                raise self._error(node, f"can't give argument to non-function {excerpt(str(node))}")
        else:
            value, names = self._operand(node.operand, dot), node.fields
        container: Value = None
        for name in names:
            container, value = value, self._field(node, container, value, name)
        if names and has_args:
            why = "is not a method but has arguments"
            if isinstance(container, Struct):
                why = "has arguments but cannot be invoked as function"
            raise self._error(node, f"{excerpt(names[-1])} {why}")
        return value

    def _variable(self, node: Variable) -> Value:
        if node.name not in self._variables:
            raise self._error(node, f"undefined variable: {excerpt(node.name)}")
        return self._variables[node.name]

    def _field(self, node: Field | Variable | Chain, container: Value, value: Value, name: str) -> Value:
        """A field or key of ``value``, which was found in ``container``."""
        self._budget.step()
        if isinstance(value, dict):
            return value.get(name)
        if isinstance(value, Struct) and name in value.fields:
            return value.fields[name]
        place: Node = node
        if isinstance(node, Chain) and isinstance(node.operand, Pipe) and container is None:
            place = _last(node.operand)
        if value is None:
            raise self._error(place, f"nil pointer evaluating interface {{}}.{excerpt(name)}")
        known = "interface {}" if isinstance(container, dict) else type_name(value)
        raise self._error(place, f"can't evaluate field {excerpt(name)} in type {known}")

    # functions

    def _call(self, word: Word, node: Node, args: tuple[Operand, ...], dot: Value, final: Value) -> Value:
        if word.name in {"and", "or"}:
            return self._either(word, args, dot, final)
        function = FUNCTIONS[word.name]
        given = len(args) + (final is not MISSING)
        if given < function.least or (function.most is not None and given > function.most):
            want = f"at least {function.least}" if function.most is None else str(function.most)
            raise self._error(word, f"wrong number of args for {word.name}: want {want} got {given}")
        values = [self._operand(arg, dot) for arg in args]
        if final is not MISSING:
            values.append(final)
        for place, value in enumerate(values[: function.texts]):
            if not isinstance(value, str):
                raise self._no_text(args[place] if place < len(args) else word, value)
        self._budget.step(len(values))
        try:
            return function.call(self._context, *values) if function.in_context else function.call(*values)
        except CallError as error:
            raise self._error(node, f"error calling {word.name}: {error}") from None

    def _no_text(self, arg: Node, value: Value) -> TemplateError:
        if isinstance(arg, Constant):
            return self._error(arg, f"expected string; found {excerpt(str(arg))}")
        got = "interface {}" if value is None else type_name(value)
        return self._error(arg, f"wrong type for value; expected string; got {got}")

    def _either(self, word: Word, args: tuple[Operand, ...], dot: Value, final: Value) -> Value:
        """``and`` gives the first false argument, ``or`` the first true one, else the last; the rest isn't run."""
        if not args and final is MISSING:
            raise self._error(word, f"wrong number of args for {word.name}: want at least 1 got 0")
        value: Value = None
        for arg in args:
            value = self._operand(arg, dot)
            if truth(value) == (word.name == "or"):
                return value
        return value if final is MISSING else final


def _last(pipe: Pipe) -> Operand:
    """The operand that is evaluated last, where Go says that an error is."""
    return pipe.commands[-1].args[-1]

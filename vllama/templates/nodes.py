"""A parsed template. Each node prints as Go prints it, for messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from vllama.templates.quoting import go_quote


@dataclass(frozen=True, slots=True)
class Node:
    """``at``: the offset in the template's text."""

    at: int


# operands


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """``.``"""

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil(Node):
    """``nil``"""

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A bool, number, character or string, with the text that it was written with."""

    value: bool | int | float | str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Field(Node):
    """``.Foo.Bar``"""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """``$x.Foo.Bar``; the name has its ``$``."""

    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.fields))


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """``(pipeline).Foo.Bar``"""

    operand: Operand
    fields: tuple[str, ...]

    def __str__(self) -> str:
        operand = f"({self.operand})" if isinstance(self.operand, Pipe) else str(self.operand)
        return ".".join((operand, *self.fields))


@dataclass(frozen=True, slots=True)
class Word(Node):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Command(Node):
    """A function with its arguments, or one operand."""

    args: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """``$x := a | b``"""

    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False
    """``=`` instead of ``:=``."""

    def __str__(self) -> str:
        head = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} " if self.variables else ""
        return head + " | ".join(str(command) for command in self.commands)


Operand: TypeAlias = Dot | Nil | Constant | Field | Variable | Chain | Word | Pipe


# what is written out


@dataclass(frozen=True, slots=True)
class Text(Node):
    """Text as it stands, trimmed."""

    text: str


@dataclass(frozen=True, slots=True)
class Action(Node):
    """``{{ pipeline }}``"""

    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class If(Node):
    """``{{if pipeline}} body {{else}} otherwise {{end}}``; an ``else if`` is an If alone in ``otherwise``."""

    pipe: Pipe
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class With(Node):
    """As If, with the dot set."""

    pipe: Pipe
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Range(Node):
    """The body once for each element, ``otherwise`` when there is none."""

    pipe: Pipe
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Break(Node):
    """``{{break}}``"""


@dataclass(frozen=True, slots=True)
class Continue(Node):
    """``{{continue}}``"""


@dataclass(frozen=True, slots=True)
class Include(Node):
    """``{{template "name" pipeline}}``"""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {go_quote(self.name)}{f' {self.pipe}' if self.pipe else ''}}}}}"


Branch: TypeAlias = If | With | Range
Statement: TypeAlias = Text | Action | Branch | Break | Continue | Include
Statements: TypeAlias = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """What ``parse`` makes of a text."""

    source: str
    root: Statements
    defined: Mapping[str, Statements] = field(default_factory=dict)
    """By ``define`` and ``block``."""

    def place(self, node: Node) -> str:
        """``line:column`` of a node; the column counts characters from 0."""
        line = self.source.count("\n", 0, node.at) + 1
        before = self.source[self.source.rfind("\n", 0, node.at) + 1 : node.at]
        return f"{line}:{len(before)}"


def operands(pipe: Pipe) -> Iterator[Operand]:
    """All operands of a pipeline, those in parentheses too, in the order they are written."""
    for command in pipe.commands:
        for arg in command.args:
            yield arg
            if isinstance(arg, Pipe):
                yield from operands(arg)

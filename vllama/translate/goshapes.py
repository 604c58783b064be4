"""Go types as values: what a field accepts, its zero value and what Go says when something else comes. Pure.

Shapes describe request types for ``gojson.decode``. Each knows its Go name for error texts, makes its zero value, and
reads one decoded JSON value (never null: the container handles that, null means "not given").
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.gotypes import GoValueError, check_base64

MAX_ITEMS: Final = 10_000
"""Elements of one list, if its shape says no other: an element may be a dozen fields."""
_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)


class Refused(Exception):
    """The fast reading met something wrong; the exact one will say what."""


class Number:
    """A number with the client's own spelling (exact reading only)."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Pairs(list[tuple[str, Any]]):
    """An object with its members in order, duplicates included (exact reading only)."""


class Mismatch(GoValueError):
    """Go's ``UnmarshalTypeError``: gets its struct and path from each decoder that it passes through."""

    def __init__(self, value: str, go: str) -> None:
        super().__init__()
        self.value, self.go, self.struct, self.path = value, go, "", ""

    def place(self, struct: str, path: list[str]) -> None:
        """Put the decoder's own place in front."""
        if path:
            self.struct = struct
            self.path = ".".join([*path, self.path] if self.path else path)

    def __str__(self) -> str:
        where = f"Go struct field {self.struct}.{self.path}" if self.path else "Go value"
        return f"json: cannot unmarshal {self.value} into {where} of type {self.go}"


class Trace:
    """Where one decoder is and the first error it saved; Go goes on after a wrong type and tells the first.

    ``exact`` false: the first error of any kind ends the reading with Refused.
    """

    __slots__ = ("exact", "path", "saved", "struct")

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        self.saved: GoValueError | None = None
        self.struct = ""
        self.path: list[str] = []

    @contextmanager
    def inside(self, struct: str, key: str) -> Iterator[None]:
        """Read a member; an error that leaves the block keeps the path for ``stop``."""
        outer = self.struct
        self.struct = struct
        self.path.append(key)
        yield
        self.path.pop()
        self.struct = outer

    def mismatch(self, value: Any, shape: Shape) -> Any:
        """Save "cannot unmarshal" and go on with the zero value."""
        kind = kind_of(value)
        out_of_range = isinstance(value, Number) and shape.go in {"int", "float64", "float32"}
        return self.save(Mismatch(f"number {excerpt(value.text)}" if out_of_range else kind, shape.go), shape)

    def save(self, error: GoValueError, shape: Shape) -> Any:
        """Keep the first error; the field gets its zero value."""
        if not self.exact:
            raise Refused
        if self.saved is None:
            self.saved = self._placed(error)
        return shape.zero()

    def stop(self, error: GoValueError) -> Exception:
        """What to raise when a type's own reader failed: Go gives up at once."""
        return self._placed(error) if self.exact else Refused()

    def _placed(self, error: GoValueError) -> GoValueError:
        if isinstance(error, Mismatch):
            error.place(self.struct, self.path)
        return error


@dataclass(frozen=True, slots=True)
class Shape:
    """One Go type."""

    go: str
    """Its name in error texts: ``string``, ``[]api.Message``."""
    zero: Callable[[], Any]
    read: Callable[[Any, Trace], Any]
    """Value and trace in, Python value out; errors go to the trace."""


def pointer(of: Shape) -> Shape:
    """Absent and null are None instead of zero."""
    return Shape(of.go, lambda: None, of.read)


def slice_of(of: Shape, name: str = "", *, most: int = MAX_ITEMS) -> Shape:
    """A list; ``name`` is its Go type where it has one (``api.Tools``). BadRequest for more than ``most`` elements."""

    def read(value: Any, trace: Trace) -> Any:
        if kind_of(value) != "array":
            return trace.mismatch(value, shape)
        if len(value) > most:
            raise BadRequest(f"the request holds {len(value)} elements in one list; at most {most} are accepted")
        return [of.zero() if item is None else of.read(item, trace) for item in value]

    shape = Shape(name or f"[]{of.go}", list, read)
    return shape


def map_of(of: Shape) -> Shape:
    """``map[string]T``."""

    def read(value: Any, trace: Trace) -> Any:
        if kind_of(value) != "object":
            return trace.mismatch(value, shape)
        return {key: of.zero() if item is None else of.read(item, trace) for key, item in _members(value)}

    shape = Shape(f"map[string]{of.go}", dict, read)
    return shape


def struct(name: str, go: str, fields: Mapping[str, Shape]) -> Shape:
    """``name`` is what the errors of its fields call it (``ChatRequest``), ``go`` its type (``api.ChatRequest``).

    It reads a dict with every field present. ``fields`` may be filled later, for types that hold themselves.
    """

    def zero() -> dict[str, Any]:
        return {key: field.zero() for key, field in fields.items()}

    def read(value: Any, trace: Trace) -> Any:
        out = zero()
        if kind_of(value) != "object":
            trace.mismatch(value, shape)
            return out
        for key, item in _members(value):
            if item is not None and (field := _field(fields, key)):
                with trace.inside(name, field):
                    out[field] = fields[field].read(item, trace)
        return out

    shape = Shape(go, zero, read)
    return shape


def custom(go: str, reader: Callable[[Any], Any], empty: Any = None) -> Shape:
    """A type with a reader of its own: it gets the plain value and raises GoValueError, which is told at once."""

    def read(value: Any, trace: Trace) -> Any:
        try:
            return reader(plain(value, trace))
        except GoValueError as error:
            raise trace.stop(error) from None

    return Shape(go, lambda: empty, read)


def boxed(of: Shape, then: Callable[[Any], Any] = lambda value: value) -> Shape:
    """A type whose own reader decodes into ``of``: its errors are told at once, below the path of the box."""

    def read(value: Any, trace: Trace) -> Any:
        inner = Trace(exact=trace.exact)
        try:
            out = of.read(value, inner)
        except GoValueError as error:
            raise trace.stop(error) from None
        if inner.saved:
            raise trace.stop(inner.saved)
        return then(out)

    return Shape(of.go, lambda: then(of.zero()), read)


def object_type(go: str, of: Shape, wrong: str) -> Shape:
    """A map with a reader of its own, which tells ``wrong`` of anything that is no object."""
    members = boxed(map_of(of))

    def read(value: Any, trace: Trace) -> Any:
        if kind_of(value) != "object":
            raise trace.stop(GoValueError(wrong))
        return members.read(value, trace)

    return Shape(go, dict, read)


def unless(passes: Callable[[Any], bool], of: Shape) -> Shape:
    """``of``, but for values that are taken although Go would refuse them."""

    def read(value: Any, trace: Trace) -> Any:
        return plain(value, trace) if passes(value) else of.read(value, trace)

    return Shape(of.go, of.zero, read)


def checked(of: Shape) -> Shape:
    """Checks a list by ``of`` and hands it on whole, with what Go would drop; a null element is an empty struct."""

    def read(value: Any, trace: Trace) -> Any:
        of.read(value, trace)
        return [{} if item is None else item for item in plain(value, trace)] if kind_of(value) == "array" else []

    return Shape(of.go, of.zero, read)


def bytes_type(go: str) -> Shape:
    """A ``[]byte`` type: standard base64 in a string, kept as text; a bad one is ``illegal base64 data ...``."""

    def read(value: Any, trace: Trace) -> Any:
        if not isinstance(value, str):
            return trace.mismatch(value, shape)
        try:
            return check_base64(value)
        except GoValueError as error:
            return trace.save(error, shape)

    shape = Shape(go, str, read)
    return shape


def kind_of(value: Any) -> str:
    """``bool``, ``string``, ``object``, ``array`` or ``number``: Go's words for a JSON value that isn't null."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict | Pairs):
        return "object"
    return "array" if isinstance(value, list) else "number"


def plain(value: Any, trace: Trace) -> Any:
    """A value without the types of exact reading; a number out of range is refused as ``float64``."""
    if not trace.exact:
        return value
    if isinstance(value, Pairs):
        return {key: plain(item, trace) for key, item in value}
    if isinstance(value, list):
        return [plain(item, trace) for item in value]
    if isinstance(value, Number):
        exact = _INTEGER.fullmatch(value.text) and len(value.text) < 20
        return int(value.text) if exact else FLOAT.read(value, trace)
    return value


def fold(key: str) -> str:
    """Go folds each rune on its own: ``K`` (Kelvin) is ``k``, but ``ß`` is not ``ss``."""
    if key.isascii():
        return key.lower()
    return "".join(folded if len(folded := char.casefold()) == 1 else char for char in key)


def _field(fields: Mapping[str, Shape], key: str) -> str | None:
    """The field a key means: an exact match wins, then one without case."""
    if key in fields:
        return key
    folded = fold(key)
    return next((name for name in fields if _folded(name) == folded), None)


@cache
def _folded(name: str) -> str:
    """Of a field's own name, for unknown keys are compared with each of them."""
    return fold(name)


def _members(value: Any) -> Iterable[tuple[str, Any]]:
    return value if isinstance(value, Pairs) else value.items()


def _read_string(value: Any, trace: Trace) -> Any:
    return value if isinstance(value, str) else trace.mismatch(value, STRING)


def _read_bool(value: Any, trace: Trace) -> Any:
    return value if isinstance(value, bool) else trace.mismatch(value, BOOL)


def _read_int(value: Any, trace: Trace) -> Any:
    """A JSON number without point and exponent, in 64 bits."""
    if isinstance(value, Number) and _INTEGER.fullmatch(value.text) and len(value.text) < 24:
        number: Any = int(value.text)
    else:
        number = value
    if isinstance(number, int) and not isinstance(number, bool) and number in _INT64:
        return number
    return trace.mismatch(value, INT)


def _float_type(go: str, largest: float) -> Shape:
    """Any JSON number that is in range."""

    def read(value: Any, trace: Trace) -> Any:
        if kind_of(value) != "number":
            return trace.mismatch(value, shape)
        number = float(value.text if isinstance(value, Number) else value)
        return number if abs(number) <= largest else trace.mismatch(value, shape)

    shape = Shape(go, float, read)
    return shape


STRING: Final = Shape("string", str, _read_string)
BOOL: Final = Shape("bool", bool, _read_bool)
INT: Final = Shape("int", int, _read_int)
FLOAT: Final = _float_type("float64", sys.float_info.max)
FLOAT32: Final = _float_type("float32", 3.4028235677973366e38)
ANY: Final = Shape("interface {}", lambda: None, plain)
"""Whatever it is, as Python has it."""
MAP: Final = map_of(ANY)

"""Reads request bodies into frozen models, one for each kind of request. Pure.

::

    class Question(Body):
        model: str = ""
        stream: bool | None = None

    decode(b'{"Model": "x"} garbage', Question) == Question(model="x", stream=None)

Clients of Ollama rely on how forgiving it is, so that is kept: only the first JSON value of a body is read; names of
fields match without case; ``null`` means "not given"; unknown fields are ignored; of a name that comes twice the last
value counts. A wrong type is an error that names the field: ``messages[0].content: expected a string, got a list``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, NoReturn, TypeVar

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.extent import TOO_DEEP, check_extent, check_nesting

MAX_ITEMS: Final = 10_000
"""Elements of one list, if its type says no other: an element may be a dozen fields."""

_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE: Final = re.compile(rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}", re.ASCII)
_MAX_ESCAPES: Final = 500_000  # json takes half a second for them, in which no other thread runs
_BLANKS: Final = b" \t\r\n"
_AS_IT_IS: Final = "as_it_is"
_EXPECTED: Final = {
    "string_type": "a string",
    "bool_type": "a boolean",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "greater_than_equal": "a whole number of 64 bits",
    "less_than_equal": "a whole number of 64 bits",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
_KINDS: Final = {bool: "a boolean", str: "a string", list: "a list", tuple: "a list", dict: "an object"}

T = TypeVar("T")
B = TypeVar("B", bound="Body")


class WrongShape(ValueError):
    """A value is not what its type says. The text is for the client."""


class Body(BaseModel):
    """A request, or an object in one."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)
    _names: ClassVar[dict[str, str]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Learn the names of the fields."""
        names = {field.alias or name for name, field in cls.model_fields.items()}
        cls._names = {name.lower(): name for name in names} | {name: name for name in names}

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return {} if given is None else given
        names, found = cls._names, {}
        for key, value in given.items():
            if value is not None and (name := names.get(key) or names.get(key.lower())):
                found[name] = value
        return found


def refuse(text: str) -> NoReturn:
    """For validators: refuse a value with a text that stands for itself, without the name of the field."""
    raise PydanticCustomError(_AS_IT_IS, "{text}", {"text": text})


def expect(what: str) -> NoReturn:
    """For validators: refuse a value that is not ``what`` ("a string or a list")."""
    raise PydanticCustomError("expected", "{text}", {"text": what})


def elements(given: Any, most: int = MAX_ITEMS) -> Any:
    """A list without its nulls, as a tuple; another value as it is. Raises BadRequest for a long list."""
    if not isinstance(given, list):
        return given
    if len(given) > most:
        raise BadRequest(f"the request holds {len(given)} elements in one list; at most {most} are accepted")
    return tuple(item for item in given if item is not None) if None in given else tuple(given)


def one_by_one(given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """For objects with members of one type: the first wrong member ends the reading.

    pydantic would collect an error for each, and no other thread runs while it does.
    """
    if not isinstance(given, dict):
        return handler(given)
    read: dict[str, Any] = {}
    for member in given.items():
        read |= handler(dict([member]))
    return read


Items = Annotated[tuple[T, ...], Field(fail_fast=True), BeforeValidator(elements)]
"""A list of at most MAX_ITEMS elements."""
Integer = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A JSON number without point and exponent, in 64 bits."""
Texts = Annotated[dict[str, str], WrapValidator(one_by_one)]
"""An object whose members are all texts."""
Object = dict[str, Any]
EMPTY: Final[Object] = {}
"""The default of fields that hold an object."""


def decode(data: bytes, of: type[B]) -> B:
    """Read a request's body; raises BadRequest (400)."""
    check_extent(data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _first_value(data)
    check_nesting(data, value)
    try:
        return read(value, of)
    except WrongShape as error:
        raise BadRequest(str(error)) from None


def read(value: Any, of: type[B], what: str = "the request") -> B:
    """Read a decoded value; raises WrongShape. ``what``: how the error calls the whole of it."""
    try:
        return of.model_validate(value)
    except ValidationError as error:
        text = describe(error, what)
    raise WrongShape(text)


def describe(error: ValidationError, what: str) -> str:
    """The first thing that is wrong, in our words."""
    first = error.errors(include_url=False)[0]
    if first["type"] == _AS_IT_IS:
        return first["msg"]
    expected = first["msg"] if first["type"] == "expected" else _EXPECTED[first["type"]]
    return f"{_path(first['loc']) or what}: expected {expected}, got {_given(first)}"


def _path(place: Sequence[int | str]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return excerpt(path.removeprefix("."))


def _given(error: ErrorDetails) -> str:
    value = error["input"]
    return _KINDS.get(type(value)) or ("a number" if "number" not in _EXPECTED.get(error["type"], "") else str(value))


def _first_value(data: bytes) -> Any:
    """The first JSON value of a body that orjson refuses; raises BadRequest.

    Half a surrogate pair and bytes that are no UTF-8 become U+FFFD.
    """
    if not data.strip(_BLANKS):
        raise BadRequest("missing request body")
    if data.count(b"\\") > _MAX_ESCAPES:
        raise BadRequest("the request is not valid JSON, and holds too many escapes to say why")
    text = _without_halves(data.lstrip(_BLANKS).decode("utf-8", "replace"))
    try:
        return _DECODER.raw_decode(text)[0]
    except json.JSONDecodeError as error:
        raise BadRequest(f"the request is not valid JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None


def _real(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadRequest(f"the request holds a number that is out of range: {excerpt(text)}")
    return number


def _whole(text: str) -> int | float:
    return int(text) if len(text) < 24 else _real(text)  # longer ones take Python long, and fit nowhere


def _no_number(text: str) -> NoReturn:
    raise BadRequest(f"the request is not valid JSON: {text} is not a number")


_DECODER: Final = json.JSONDecoder(parse_float=_real, parse_int=_whole, parse_constant=_no_number)


def _without_halves(text: str) -> str:
    if "\\u" not in text:
        return text
    bare = text.replace(r"\\", "\0")  # which stands in no valid JSON; now every backslash begins an escape
    return _LONE.sub("\ufffd", bare).replace("\0", r"\\")

"""Tools in requests: what must be right about them, so that a chat template can show them. Pure.

They are checked as Ollama checks them and handed on whole: vLLM understands more of a schema than is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    GetPydanticSchema,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core.core_schema import no_info_wrap_validator_function

from vllama.translate.decoding import EMPTY, Body, Items, Object, WrongShape, describe, elements, expect, one_by_one


def _unless(passes: Callable[[Any], bool]) -> WrapValidator:
    """Takes values that mean nothing here, although Ollama refuses them."""

    def check(given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return given if passes(given) else handler(given)

    return WrapValidator(check)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def says_nothing(value: Any) -> bool:
    """Is it a schema without a word: ``true``, ``false``, or PHP's empty map?"""
    return _is_bool(value) or value == []


def _types(given: Any) -> Any:
    names = given if isinstance(given, list) else [given]
    if not all(name is None or isinstance(name, str) for name in names):
        expect("a string or a list of strings")
    return given


Types = Annotated[Any, BeforeValidator(_types)]
Required = Annotated[Items[str], _unless(_is_bool)]  # once it stood in the member itself
Properties = Annotated[
    dict[str, Annotated["_Property", _unless(_is_bool)]], WrapValidator(one_by_one), _unless(says_nothing)
]


class _Property(Body):
    types: Types = Field(None, alias="type")
    any_of: Items[Annotated[_Property, _unless(_is_bool)]] = Field((), alias="anyOf")
    description: str = ""
    enum: Items[Any] = ()
    properties: Properties = EMPTY
    required: Required = ()


class _Parameters(Body):
    types: Types = Field(None, alias="type")
    properties: Properties = EMPTY
    required: Required = ()


Parameters = Annotated[_Parameters, _unless(says_nothing)]


class _Function(Body):
    name: str = ""
    description: str = ""
    parameters: Parameters = _Parameters()


class _Tool(Body):
    type: str = ""
    function: _Function = _Function()


def _whole(given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    handler(given)
    return elements(given)


Tools = Annotated[
    tuple[Object, ...],
    GetPydanticSchema(lambda _, handler: no_info_wrap_validator_function(_whole, handler(Items[_Tool]))),
]
"""Definitions of tools, as the client wrote them: a tuple of dicts."""
_PARAMETERS: Final = TypeAdapter[Any](Parameters)


def check_parameters(schema: Any) -> None:
    """Raises WrongShape for a tool's schema that can't be shown to a model."""
    if schema is None:
        return
    try:
        _PARAMETERS.validate_python(schema)
    except ValidationError as error:
        raise WrongShape(describe(error, "the schema")) from None

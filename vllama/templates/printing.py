"""Values as Go's fmt and encoding/json print them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from vllama.jsontext import encode
from vllama.templates.faults import TemplateError
from vllama.templates.limits import MAX_VALUE_DEPTH, Budget
from vllama.templates.values import JsonList, JsonMap, OneOrMore, Struct, Value

_ESCAPED: Final = 6
"""Characters that one may become in JSON."""
NO_VALUE: Final = "<no value>"


def shown(value: Value, budget: Budget) -> str:
    """What ``{{ value }}`` writes."""
    if type(value) is str:
        text: str = value
    elif value is None:
        text = NO_VALUE
    else:
        text = verb_v(value, budget)
    budget.text(len(text))
    return text


def verb_v(value: Value, budget: Budget, depth: int = 0) -> str:
    """``%v``; nil is ``<nil>``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return float_g(value)
    if value is None:
        return "<nil>"
    if isinstance(value, JsonMap | JsonList) or (isinstance(value, Struct) and value.prints_json):
        return to_json(value, budget)
    if isinstance(value, OneOrMore) and len(value) < 2:
        return "".join(value)
    if depth >= MAX_VALUE_DEPTH:
        raise _too_deep()
    if isinstance(value, Struct):
        return "{" + " ".join(_parts(value.fields.values(), budget, depth)) + "}"
    if isinstance(value, dict):
        budget.step(len(value))
        keys = sorted(value)
        pairs = zip(keys, _parts((value[key] for key in keys), budget, depth), strict=True)
        return "map[" + " ".join(f"{key}:{text}" for key, text in pairs) + "]"
    return "[" + " ".join(_parts(value, budget, depth)) + "]"


def _parts(values: Iterable[Value], budget: Budget, depth: int) -> list[str]:
    out = []
    for value in values:
        budget.step()
        text = verb_v(value, budget, depth + 1)
        budget.text(len(text))
        out.append(text)
    return out


def _too_deep() -> TemplateError:
    return TemplateError(f"template: a value nests more than {MAX_VALUE_DEPTH} levels deep")


def float_g(value: float) -> str:
    """``%v`` of a float: shortest, with an exponent below 1e-4 and from 1e6."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    digits, exponent = _decimal(value)
    if -4 <= exponent < 6:
        return _plain(value, digits, exponent)
    return _scientific(value, digits, exponent)


def _decimal(value: float) -> tuple[str, int]:
    """Shortest digits and the exponent of the first: 12.5 is ``125`` and 1."""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return "0", 0
    first = len(whole.lstrip("0")) - 1 if whole.strip("0") else -(len(fraction) - len(fraction.lstrip("0")) + 1)
    return digits.rstrip("0"), first + int(exponent or 0)


def _plain(value: float, digits: str, exponent: int) -> str:
    sign = "-" if math.copysign(1, value) < 0 else ""
    if exponent < 0:
        return sign + "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    rest = digits[exponent + 1 :]
    return sign + whole + (f".{rest}" if rest else "")


def _scientific(value: float, digits: str, exponent: int) -> str:
    sign = "-" if value < 0 else ""
    point = "." if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}{digits[1:]}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def to_json(value: Value, budget: Budget) -> str:
    """``json.Marshal``: maps sorted by key, structs in their order, ``<>&`` escaped; empty when there is no JSON."""
    out: list[str] = []
    try:
        _write_json(value, out, budget, 0)
    except OverflowError:
        return ""
    return "".join(out)


def _write_json(value: Value, out: list[str], budget: Budget, depth: int) -> None:
    """Appends pieces; raises OverflowError for what JSON has no number for."""
    budget.step()
    if depth >= MAX_VALUE_DEPTH:
        raise _too_deep()
    if isinstance(value, Struct):
        _write_pairs((value.fields if value.json is None else value.json).items(), out, budget, depth)
    elif isinstance(value, dict):
        budget.step(len(value))
        _write_pairs(sorted(value.items()), out, budget, depth)
    elif isinstance(value, list | tuple):
        out.append("[")
        for place, element in enumerate(value):
            if place:
                out.append(",")
            _write_json(element, out, budget, depth + 1)
        out.append("]")
    elif isinstance(value, float):
        out.append(_json_number(value))
    else:
        out.append(_encoded(value, budget))


def _write_pairs(pairs: Iterable[tuple[str, Any]], out: list[str], budget: Budget, depth: int) -> None:
    out.append("{")
    for place, (key, element) in enumerate(pairs):
        name = _encoded(key, budget)
        out.append(f",{name}:" if place else f"{name}:")
        _write_json(element, out, budget, depth + 1)
    out.append("}")


def _encoded(value: Value, budget: Budget) -> str:
    """A scalar as JSON."""
    if isinstance(value, str):
        budget.text(_ESCAPED * len(value))
    return encode(value).decode()


def _json_number(value: float) -> str:
    if not math.isfinite(value):
        raise OverflowError
    digits, exponent = _decimal(value)
    if -6 <= exponent < 21:
        return _plain(value, digits, exponent)
    text = _scientific(value, digits, exponent)
    return text.replace("e-0", "e-")

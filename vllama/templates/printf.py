"""``printf``, with the verbs that templates of models use: ``%v %s %q %d %t %f``, widths and precisions. Pure."""

from __future__ import annotations

import re
from typing import Final

from vllama.templates.limits import Budget
from vllama.templates.printing import verb_v
from vllama.templates.quoting import go_quote
from vllama.templates.values import Value, type_name

_VERB: Final = re.compile(r"%([-0]*)([0-9]{0,6})(?:\.([0-9]{0,3}))?(.?)", re.DOTALL)
_QUOTED: Final = 10
"""Characters that one may become."""


def sprintf(form: str, args: tuple[Value, ...], budget: Budget) -> str:
    """The text, with Go's ``%!`` notes where verbs and arguments don't match, and for all other verbs."""
    budget.text(len(form))
    out: list[str] = []
    used = end = 0
    for found in _VERB.finditer(form):
        out.append(form[end : found.start()])
        end = found.end()
        budget.step()
        flags, width, precision, verb = found.groups()
        if not verb:
            out.append("%!(NOVERB)")
        elif verb == "%":
            out.append("%")
        elif used >= len(args):
            out.append(f"%!{verb}(MISSING)")
        else:
            text = _padded(_formatted(verb, args[used], precision, budget), flags, int(width or 0), budget)
            used += 1
            budget.text(len(text))
            out.append(text)
    out.append(form[end:])
    if used < len(args):
        extra = ", ".join("<nil>" if arg is None else f"{type_name(arg)}={verb_v(arg, budget)}" for arg in args[used:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _formatted(verb: str, value: Value, precision: str | None, budget: Budget) -> str:
    digits = None if precision is None else int(precision or 0)
    match verb, value:
        case "v", _:
            return verb_v(value, budget)
        case (("s" | "q"), list() | tuple()):
            return "[" + " ".join(_element(verb, item, precision, budget) for item in value) + "]"
        case "d", bool():
            pass
        case ("t", bool()) | ("d", int()):
            return verb_v(value, budget)
        case "f", float():
            return f"{value:.{6 if digits is None else digits}f}"
        case "s", str():
            return value[:digits]
        case "q", str():
            budget.text(_QUOTED * len(value))
            return go_quote(value[:digits])
        case "s", _ if value is not None and not isinstance(value, int | float):
            return verb_v(value, budget)
    return f"%!{verb}(<nil>)" if value is None else f"%!{verb}({type_name(value)}={verb_v(value, budget)})"


def _element(verb: str, value: Value, precision: str | None, budget: Budget) -> str:
    budget.step()
    budget.enter()
    text = _formatted(verb, value, precision, budget)
    budget.depth -= 1
    budget.text(len(text))
    return text


def _padded(text: str, flags: str, width: int, budget: Budget) -> str:
    missing = width - len(text)
    if missing <= 0:
        return text
    budget.text(missing)
    if "-" in flags:
        return text + " " * missing
    sign = text[:1] if "0" in flags and text[:1] == "-" else ""
    return sign + ("0" if "0" in flags else " ") * missing + text[len(sign) :]

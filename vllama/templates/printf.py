"""Go's ``fmt.Sprintf``. Pure."""

from __future__ import annotations

import re
from typing import Final

from vllama.templates.limits import Budget
from vllama.templates.printing import float_g, verb_v
from vllama.templates.values import Struct, Value, type_name
from vllama.translate.gosyntax import go_quote

_VERB: Final = re.compile(r"%([-+# 0]*)(\*|[0-9]*)(?:(\.)(\*|[0-9]*))?(.?)", re.DOTALL)
_QUOTED: Final = 10
"""Characters that one may become."""
_WIDEST: Final = 1_000_000


def sprintf(form: str, args: tuple[Value, ...], budget: Budget) -> str:
    """The text, with Go's ``%!`` notes where verbs and arguments don't match."""
    budget.text(len(form))
    out: list[str] = []
    used = 0
    end = 0
    for found in _VERB.finditer(form):
        out.append(form[end : found.start()])
        end = found.end()
        budget.step()
        flags, width_text, dot, precision_text, verb = found.groups()
        width, used, bad_width = _size(width_text, args, used, "WIDTH")
        precision, used, bad_precision = _size(precision_text, args, used, "PREC") if dot else (None, used, "")
        out.append(bad_width + bad_precision)
        if width is not None and width < 0:
            flags, width = flags + "-", -width
        if not verb:
            out.append("%!(NOVERB)")
        elif verb == "%":
            out.append("%")
        elif used >= len(args):
            out.append(f"%!{verb}(MISSING)")
        else:
            text = _formatted(verb, args[used], flags, 0 if dot and precision is None else precision, budget)
            used += 1
            text = _padded(text, flags, width or 0, budget)
            budget.text(len(text))
            out.append(text)
    out.append(form[end:])
    if used < len(args):
        extra = ", ".join("<nil>" if arg is None else f"{type_name(arg)}={verb_v(arg, budget)}" for arg in args[used:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _size(text: str, args: tuple[Value, ...], used: int, what: str) -> tuple[int | None, int, str]:
    """A width or precision, how many arguments are used then, and a note when it is no good."""
    if text == "*":
        value = args[used] if used < len(args) else None
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _WIDEST:
            return value, used + 1, ""
        return None, min(used + 1, len(args)), f"%!(BAD{what})"
    if not text:
        return None, used, ""
    return (int(text), used, "") if len(text) < 8 and int(text) <= _WIDEST else (None, used, "")


def _formatted(verb: str, value: Value, flags: str, precision: int | None, budget: Budget) -> str:
    if verb == "T":
        return type_name(value)
    if verb == "v":
        if "#" in flags and isinstance(value, str):
            budget.text(_QUOTED * len(value))
            return go_quote(value)
        text = verb_v(value, budget)
        return "+" + text if "+" in flags and isinstance(value, int | float) and value >= 0 else text
    if value is None:
        return f"%!{verb}(<nil>)"
    if isinstance(value, list | tuple):
        return "[" + " ".join(_element(verb, item, flags, precision, budget) for item in value) + "]"
    if isinstance(value, dict) and not (verb in "sq" and type(value) is not dict):
        pairs = (
            f"{_element(verb, key, flags, precision, budget)}:{_element(verb, value[key], flags, precision, budget)}"
            for key in sorted(value)
        )
        return "map[" + " ".join(pairs) + "]"
    if isinstance(value, Struct) and not (verb in "sq" and value.prints_json):
        return "{" + " ".join(_element(verb, item, flags, precision, budget) for item in value.fields.values()) + "}"
    made = _basic(verb, value, flags, precision, budget)
    return f"%!{verb}({type_name(value)}={verb_v(value, budget)})" if made is None else made


def _element(verb: str, value: Value, flags: str, precision: int | None, budget: Budget) -> str:
    if value is None:
        return "<nil>" if verb in "sv" else f"%!{verb}(<nil>)"
    budget.step()
    budget.enter()
    text = _formatted(verb, value, flags, precision, budget)
    budget.depth -= 1
    budget.text(len(text))
    return text


def _basic(verb: str, value: Value, flags: str, precision: int | None, budget: Budget) -> str | None:
    """One value by a verb that fits its type; None when it doesn't."""
    if isinstance(value, bool):
        return ("true" if value else "false") if verb == "t" else None
    if isinstance(value, int):
        return _integer(verb, value, flags)
    if isinstance(value, float):
        return _float(verb, value, flags, precision)
    text = value if isinstance(value, str) else verb_v(value, budget)
    if precision is not None and verb in "sqxX":
        budget.text(min(precision, len(text)))
        text = text[:precision]
    if verb in "qxX":
        budget.text(_QUOTED * len(text))
    match verb:
        case "s":
            return text
        case "q":
            return f"`{text}`" if "#" in flags and "`" not in text and text.isprintable() else go_quote(text)
        case "x":
            return text.encode("utf-8", "replace").hex()
        case "X":
            return text.encode("utf-8", "replace").hex().upper()
    return None


def _integer(verb: str, value: int, flags: str) -> str | None:
    sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
    size = abs(value)
    sharp = "#" in flags
    match verb:
        case "d":
            return f"{sign}{size}"
        case "b":
            return f"{sign}{'0b' if sharp else ''}{size:b}"
        case "o":
            return f"{sign}{'0' if sharp else ''}{size:o}"
        case "O":
            return f"{sign}0o{size:o}"
        case "x":
            return f"{sign}{'0x' if sharp else ''}{size:x}"
        case "X":
            return f"{sign}{'0X' if sharp else ''}{size:X}"
        case "c":
            return _char(value)
        case "q":
            return "'" + go_quote(_char(value))[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        case "U":
            return f"U+{size:04X}"
    return None


def _char(value: int) -> str:
    return chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"


def _float(verb: str, value: float, flags: str, precision: int | None) -> str | None:
    if verb not in "eEfFgG":
        return None
    sign = "+" if "+" in flags and value >= 0 else " " if " " in flags and value >= 0 else ""
    if verb in "gG" and precision is None:
        text = float_g(value)
        return sign + (text.upper() if verb == "G" else text)
    digits = min(6 if precision is None else precision, 1000)
    return sign + format(value, f".{digits}{verb}")


def _padded(text: str, flags: str, width: int, budget: Budget) -> str:
    missing = width - len(text)
    if missing <= 0:
        return text
    budget.text(missing)
    if "-" in flags:
        return text + " " * missing
    if "0" not in flags:
        return " " * missing + text
    sign = text[:1] if text[:1] in {"+", "-", " "} else ""
    return sign + "0" * missing + text[len(sign) :]

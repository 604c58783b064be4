"""One difference, and the small words for telling it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.contract.keys import RFC3339


@dataclass(frozen=True)
class Diff:
    cls: str
    where: str
    what: str


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "bool", int: "number", float: "number", str: "string", list: "list", dict: "object"}[type(value)]


def short(value: Any, limit: int = 110) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def collapse(items: list[str]) -> list[str]:
    return [x for i, x in enumerate(items) if i == 0 or items[i - 1] != x]


def parse_time(text: Any) -> float | None:
    """Seconds since 1970 of an RFC 3339 time, None when it is not one."""
    m = RFC3339.match(text) if isinstance(text, str) else None
    if not m:
        return None
    try:
        return datetime.fromisoformat(m[1] + m[3].replace("Z", "+00:00")).timestamp() + float("0." + (m[2] or "0"))
    except (ValueError, OverflowError):
        return None

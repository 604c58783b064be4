"""The catalogue's names alone, as quickly as they can be read: for the completion in a shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

_SHIPPED: Final = Path(__file__).with_name("catalog.yaml")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def completions(start: str) -> Iterator[str]:
    """The shipped names that begin with ``start``. Families come without tags until ``start`` leaves only one."""
    families: dict[str, list[str]] = {
        family: [str(tag) for tag in facts["tags"]]
        for family, facts in yaml.load(_SHIPPED.read_text("utf-8"), _LOADER).items()  # noqa: S506 - a safe loader
    }
    wanted, colon, _ = start.partition(":")
    near = [family for family in families if family.startswith(wanted)]
    for family in near:
        if not colon:
            yield family
        if family == wanted or len(near) == 1:
            yield from (name for tag in families[family] if (name := f"{family}:{tag}").startswith(start))

"""Prometheus text of several sources as one scrape. Pure.

The text format wants all samples of a family in one group with one ``# HELP`` and ``# TYPE``, so the sources can't
just be concatenated: two engines have the same families, and ``process_*`` is ours as well as theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL: Final = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*"'
_VALUE: Final = r"[+-]?(?:Inf|NaN|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
_SAMPLE: Final = re.compile(rf"({_NAME})(?:\{{((?:{_LABEL}(?:,|(?=\}})))*)\}})?([ \t]+{_VALUE}(?:[ \t]+-?\d+)?)[ \t]*")
_COMMENT: Final = re.compile(rf"# (HELP|TYPE) ({_NAME})(?: (.*))?")
_OWN_MODEL: Final = re.compile(r"(^|,)model=")
_SUFFIXES: Final = frozenset({"", "_bucket", "_sum", "_count", "_total", "_created", "_info", "_gsum", "_gcount"})


@dataclass(slots=True)
class _Family:
    help: str = ""
    type: str = ""
    samples: list[str] = field(default_factory=list)


def merge(own: str, engines: Mapping[str, str]) -> str:
    """Our text and each engine's (by model name) as one; the engines' samples get the label ``model="NAME"``.

    A label ``model`` that is there already becomes ``exported_model``, as Prometheus itself does it. Lines that are
    no samples are dropped.
    """
    families: dict[str, _Family] = {}
    _add(families, own, "")
    for model, text in engines.items():
        _add(families, text, f'model="{_escaped(model)}"')
    return "".join(_written(families))


def _add(families: dict[str, _Family], text: str, label: str) -> None:
    current = ""
    for line in text.split("\n"):
        if line.startswith("#"):
            comment = _COMMENT.fullmatch(line.rstrip("\r"))
            if comment is None:
                continue
            kind, current, said = comment.groups()
            family = families.setdefault(current, _Family())
            if kind == "HELP":
                family.help = family.help or said or ""
            else:
                family.type = family.type or said or ""
            continue
        sample = _SAMPLE.fullmatch(line.rstrip("\r"))
        if sample is None:
            continue
        name, labels, value = sample.groups()
        belongs = name.startswith(current) and name[len(current) :] in _SUFFIXES
        family = families.setdefault(current if current and belongs else name, _Family())
        family.samples.append(name + _labelled(labels or "", label) + value)


def _labelled(labels: str, label: str) -> str:
    if label:
        labels = _OWN_MODEL.sub(r"\1exported_model=", labels.rstrip(","))
        labels = f"{label},{labels}" if labels else label
    return f"{{{labels}}}" if labels else ""


def _written(families: Mapping[str, _Family]) -> Iterator[str]:
    for name, family in families.items():
        if not family.samples:
            continue
        if family.help:
            yield f"# HELP {name} {family.help}\n"
        if family.type:
            yield f"# TYPE {name} {family.type}\n"
        for sample in family.samples:
            yield sample + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""Reads YAML text into plain values and remembers the line of every key. Pure; never raises for bad text.

YAML's node tree is read instead of its values, because values have lost their lines and duplicate keys. Keys are taken
as they are written (``16:`` is the text ``16``, ``on:`` is not a boolean); dates stay text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

KeyPath = tuple[str, ...]
"""``("models", "mini", "source")``; a list's entries are numbered: ``("preload", "0")``."""

_PLAIN: Final = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str")}
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_MERGE: Final = "tag:yaml.org,2002:merge"
_DEEPEST: Final = 20


@dataclass(frozen=True, slots=True)
class LineFault:
    """Something wrong, and where: ``line`` counts from 1, 0 is the file as a whole."""

    line: int
    key: KeyPath
    message: str


@dataclass(slots=True)
class Document:
    """What was read; ``value`` is as complete as the findings allow."""

    value: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    findings: list[LineFault] = field(default_factory=list)


def read_document(text: str) -> Document:
    """Read one YAML mapping. An empty text is an empty mapping."""
    document = Document()
    loader = yaml.SafeLoader("")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.problem, error.context) if part)
        if error.context and error.context_mark and mark and error.context_mark.line != mark.line:
            what += f" that begins in line {error.context_mark.line + 1}"
        document.findings.append(LineFault(mark.line + 1 if mark else 0, (), f"is not valid YAML: {what}"))
        return document
    except yaml.YAMLError as error:  # characters that no YAML may hold
        what = getattr(error, "reason", "") or str(error).splitlines()[0]
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
        document.findings.append(LineFault(line, (), f"is not valid YAML: {what}"))
        return document
    except RecursionError:
        document.findings.append(LineFault(0, (), "is nested too deeply"))
        return document
    if node is None:
        return document
    if not isinstance(node, yaml.MappingNode):
        document.findings.append(LineFault(_line(node), (), "the file must be a section of 'key: value' lines"))
        return document
    document.value = _Reader(loader, document).mapping(node, ())
    return document


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Reader:
    """One walk over the tree; anchors are followed, cycles are reported."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(key_node, path, "a key must be a single word")
                continue
            if key_node.tag == _MERGE:
                self._report(key_node, path, "'<<' is not supported, write the keys out")
                continue
            key = str(key_node.value)
            below = (*path, key)
            if key in found:
                first = self._document.lines[below]
                self._report(key_node, below, f"is given twice (first in line {first})")
                continue
            self._document.lines[below] = _line(key_node)
            found[key] = self._value(value_node, below)
        return found

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        if len(path) > _DEEPEST:
            self._report(node, path[:3], "is nested too deeply, or refers to itself")
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for number, item in enumerate(node.value):
                below = (*path, str(number))
                self._document.lines[below] = _line(item)
                items.append(self._value(item, below))
            return items
        return self._scalar(node, path)

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.tag == _TIMESTAMP:
            return str(node.value)
        if node.tag not in _PLAIN:
            self._report(node, path, f"has a type that is not supported here ({node.tag})")
            return None
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, KeyError):
            self._report(node, path, f"can't be read: {str(node.value)[:40]!r}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._report(node, path, "must be a finite number")
            return None
        return value

    def _report(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self._document.findings.append(LineFault(_line(node), path, message))

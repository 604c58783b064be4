"""Tests replace what they pass in, and patch nothing: a test that has to patch has found a missing parameter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
PATCHES: Final = {"setattr", "delattr", "setitem", "delitem"}
PATCHABLE: Final = {"sys"}
"""Hooks of the interpreter, which have no other handle."""


def patched(source: str) -> Iterator[str]:
    """The target of each ``monkeypatch.setattr`` (or ``patch.object`` ...), as it is written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "unittest.mock":
            yield from (alias.name for alias in node.names if alias.name == "patch")
        elif isinstance(node, ast.Call) and node.args and getattr(node.func, "attr", "") in PATCHES:
            yield ast.unparse(node.args[0])


def test_no_test_patches_our_code():
    found = [
        (str(file.relative_to(TESTS)), target) for file in TESTS.rglob("*.py") for target in patched(file.read_text())
    ]
    assert [(file, target) for file, target in found if target not in PATCHABLE] == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("monkeypatch.setattr(planner, 'locate', None)", "planner"),
        ("with monkeypatch.context() as other:\n    other.setattr('vllama.disk.Reads', None)", "'vllama.disk.Reads'"),
        ("monkeypatch.setattr(sys, 'unraisablehook', print)", "sys"),
        ("from unittest.mock import Mock, patch", "patch"),
        ("monkeypatch.setenv('HF_TOKEN', 'x')", None),
    ],
)
def test_what_counts_as_patching(source: str, target: str | None):
    assert list(patched(source)) == ([] if target is None else [target])

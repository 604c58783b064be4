"""The lists of decisions at the head of ``step`` and ``room`` name every labelled branch, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from vllama.supervisor import room, step

HOUSE = Path(step.__file__).parent
LABEL = re.compile(r"\b[LUCQTPXR]\d+\b")


def listed(module: Path) -> list[str]:
    text = ast.get_docstring(ast.parse(module.read_text()))
    return re.findall(rf"^\s+({LABEL.pattern})\s", text or "", re.MULTILINE)


def labelled(module: str) -> set[str]:
    """The labels in comments and in docstrings of functions."""
    text = (HOUSE / f"{module}.py").read_text()
    tree = ast.parse(text)
    words = [line.partition("#")[2] for line in text.splitlines()]
    words += [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {label for word in words for label in LABEL.findall(word)}


@pytest.mark.parametrize(
    ("head", "modules"), [(step, ("step", "leases", "orders", "life")), (room, ("room",))], ids=["step", "room"]
)
def test_each_decision_on_the_list_has_its_label_in_the_code(head, modules: tuple[str, ...]):
    decisions = listed(Path(head.__file__))
    assert len(decisions) == len(set(decisions)) >= 10
    assert set().union(*map(labelled, modules)) == set(decisions)

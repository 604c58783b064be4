"""Templates with the text or the error that Go's own text/template (1.27, missingkey=zero) gave for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vllama.templates import TemplateError, parse, render

_LINES = [json.loads(line) for line in Path(__file__).with_name("recorded.jsonl").read_text().splitlines()]
_CASES = _LINES[1:]


def decoded(value: Any) -> Any:
    """JSON as Go decodes it into ``any``: all numbers are floats."""
    if isinstance(value, bool) or not isinstance(value, int | float | list | dict):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list):
        return [decoded(element) for element in value]
    return {key: decoded(element) for key, element in value.items()}


_DATA = {**decoded(_LINES[0]["data"]), "Int": 3}


@pytest.mark.parametrize("case", _CASES, ids=[case["template"] for case in _CASES])
def test_says_what_go_says(case: dict[str, str]) -> None:
    if "error" in case:
        with pytest.raises(TemplateError) as caught:
            render(parse(case["template"]), _DATA)
        assert str(caught.value) == case["error"]
    else:
        assert render(parse(case["template"]), _DATA) == case["text"]

"""What the engine's parsers of tools are changed to: their grammars have bounded blanks."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from vllama.translate.schemas.grammars import MOST_BLANKS

FILE = Path(__file__).parents[3] / "vllama" / "engine" / "tool_blanks.py"


@dataclass(frozen=True)
class Params:
    """vLLM's ``StructuredOutputsParams``."""

    json: str | dict[str, object] | None = None
    structural_tag: str | None = None
    json_object: bool | None = None


@dataclass
class Request:
    structured_outputs: Params | None = None


@pytest.fixture(scope="module")
def blanks() -> ModuleType:
    """Loaded under the name that it has here, so that it installs nothing."""
    spec = importlib.util.spec_from_file_location("vllama.engine.tool_blanks", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def adjusted(blanks: ModuleType, params: Params | None) -> Params | None:
    """What becomes of a request whose grammar the parser made."""

    def adjust(_: object, request: Request) -> Request:
        request.structured_outputs = params
        return request

    request: Request = blanks.bounding(adjust)(None, Request())
    return request.structured_outputs


def test_the_bound_is_that_of_answers(blanks):
    assert blanks.MOST_BLANKS == MOST_BLANKS


def test_a_schema_becomes_a_tag_with_bounded_blanks(blanks):
    for schema in ({"type": "array"}, '{"type": "array"}'):
        params = adjusted(blanks, Params(json=schema))
        assert params.json is None
        form = json.loads(params.structural_tag)["format"]
        assert form == {"type": "json_schema", "json_schema": {"type": "array"}, "max_whitespace_cnt": MOST_BLANKS}


def test_a_tags_own_forms_get_the_bound_unless_they_have_one(blanks):
    quoted = {"type": "object", "description": '"max_whitespace_cnt": null'}
    forms = [
        {"type": "json_schema", "json_schema": quoted, "max_whitespace_cnt": None},
        {"type": "json_schema", "json_schema": True, "max_whitespace_cnt": 3},
    ]
    tag = json.dumps({"type": "structural_tag", "format": {"type": "sequence", "elements": forms}})
    params = adjusted(blanks, Params(structural_tag=tag))
    first, second = json.loads(params.structural_tag)["format"]["elements"]
    assert first == {"type": "json_schema", "json_schema": quoted, "max_whitespace_cnt": MOST_BLANKS}
    assert second == forms[1]


def test_what_has_no_grammar_stays(blanks):
    assert adjusted(blanks, None) is None
    assert adjusted(blanks, Params(json_object=True)) == Params(json_object=True)


def test_an_engine_without_these_parsers_is_reported_and_left_alone(blanks, caplog):
    blanks.install()  # this interpreter has no vLLM at all
    assert "not limited" in caplog.text

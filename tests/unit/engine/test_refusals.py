"""Real refusals of vLLM 0.32, one for each way in which a request can be wrong (``refusals.json``)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.engine.client import engine_error
from vllama.engine.refusals import field_of
from vllama.errors import EngineRefused
from vllama.translate.engine.faults import in_our_words

REAL = json.loads((Path(__file__).parent / "refusals.json").read_text())
WITHOUT_A_FIELD = {  # they can't come of a body of ours
    "/v1/chat/completions continue",
    "/v1/chat/completions kwargs",
    "/v1/chat/completions template",
    "/v1/chat/completions template-syntax",
    "/v1/chat/completions template-undef",
}
THEIR_WORDS = (
    "validation error",
    "Input should",
    "parameter=",
    "xgrammar",
    "VLLM_",
    "Param.",
    "body.",
    "value=",
    "'loc'",
)


@pytest.mark.parametrize("case", REAL)
def test_a_real_refusal_is_reported_in_our_words_with_its_field(case):
    error = engine_error({"error": REAL[case]})
    assert isinstance(error, EngineRefused)
    assert bool(error.field) != (case in WITHOUT_A_FIELD)
    reported = in_our_words(error)
    assert reported.http_status == 400
    assert not any(words in reported.message for words in THEIR_WORDS)
    assert error.message not in reported.message


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ("temperature", "temperature"),
        ("temperature-str", "temperature"),
        ("min_p", "min_p"),
        ("n-big", "n"),
        ("stop", "stop"),
        ("strict", "tools.0.function.strict"),
        ("choice-any", "tool_choice"),
        ("content-num", "messages.0.content"),
        ("schema-bad", "response_format"),
        ("image", "image"),
    ],
)
def test_fields_are_found_in_every_form(case, field):
    assert field_of(REAL[f"/v1/chat/completions {case}"]) == field


@given(st.text(min_size=12), st.none() | st.text(max_size=8), st.sampled_from([400, 404, 422, 500, 503]))
def test_no_words_of_an_engine_reach_a_client(message, param, status):
    error = engine_error({"error": {"message": message, "param": param, "code": status}})
    assert error is not None
    assert message not in in_our_words(error).message


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_error_object_is_read(error):
    if error is not None:
        assert engine_error({"error": error})

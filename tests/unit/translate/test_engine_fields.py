from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.engine_fields import EngineFields, engine_fields, vllm_options, within


def read(**fields: Any) -> dict[str, Any]:
    return engine_fields(EngineFields(**fields))


def test_what_vllm_takes_is_handed_on():
    fields = {"logit_bias": {"5": 1.5}, "bad_words": ["no"], "min_tokens": 3, "ignore_eos": True}
    assert read(**fields) == fields
    assert read() == {}


def test_what_it_would_refuse_is_left_out_or_made_legal():
    assert read(logit_bias={"5": 1000, "x": 1, "-1": 1, "7": "y", "8": True}) == {"logit_bias": {"5": 100.0}}
    assert read(logit_bias={"x": 1}, bad_words=["", " ", 5], min_tokens=-1, ignore_eos="yes") == {}
    assert read(logit_bias=[1], bad_words="no", min_tokens=True, thinking_token_budget=-1) == {}
    assert read(min_tokens=2.9) == {"min_tokens": 2}


def test_fields_are_held_to_the_model_and_the_answers_length():
    fields = {"logit_bias": {"5": 1.0, "4096": 1.0}, "min_tokens": 100}
    assert within(fields, vocabulary=4096, most_tokens=8) == {"logit_bias": {"5": 1.0}, "min_tokens": 8}
    assert within(fields, vocabulary=0, most_tokens=100) == fields


def test_options_are_numbers():
    fields = EngineFields(top_k="x", min_p=True, repetition_penalty=2)
    assert vllm_options(fields) == {"repeat_penalty": 2}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.fixed_dictionaries(dict.fromkeys(EngineFields.model_fields, ANY)))
def test_any_values_make_a_body_that_can_be_sent(fields):
    assert orjson.dumps(within(engine_fields(EngineFields(**fields)), vocabulary=100, most_tokens=10))

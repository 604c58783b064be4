from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import BadRequest
from vllama.models.fim import can_fill_in, fill_in_the_middle

FAMILIES = [
    (("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"), "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
    (("<fim_prefix>", "<fim_suffix>", "<fim_middle>"), "<fim_prefix>P<fim_suffix>S<fim_middle>"),
    (("<fim-prefix>", "<fim-suffix>", "<fim-middle>"), "<fim-prefix>P<fim-suffix>S<fim-middle>"),
    (("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"), "<｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>"),
    (("▁<PRE>", "▁<SUF>", "▁<MID>"), "▁<PRE> P▁<SUF>S▁<MID>"),
    (("[PREFIX]", "[SUFFIX]", "[MIDDLE]"), "[SUFFIX]S[PREFIX]P"),
    (("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"), "<[fim-suffix]>S<[fim-prefix]>P<[fim-middle]>"),
]


@pytest.mark.parametrize(("tokens", "prompt"), FAMILIES)
def test_each_family_has_its_form(tokens, prompt):
    known = {token: number for number, token in enumerate((*tokens, "<|endoftext|>"))}
    assert can_fill_in(known)
    assert fill_in_the_middle("P", "S", known) == prompt


@pytest.mark.parametrize("tokens", [(), ("<|im_end|>",), ("<|fim_prefix|>", "<|fim_suffix|>"), ("<|fim_pad|>",)])
def test_a_model_without_all_tokens_of_a_family_is_refused(tokens):
    assert not can_fill_in(dict.fromkeys(tokens, 1))
    with pytest.raises(BadRequest):
        fill_in_the_middle("P", "S", dict.fromkeys(tokens, 1))


@given(st.text(), st.text())
def test_what_is_given_stays_as_it_is(prefix, suffix):
    tokens = dict.fromkeys(FAMILIES[0][0], 1)
    assert fill_in_the_middle(prefix, suffix, tokens) == (f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>")

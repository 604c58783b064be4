from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.passages import joined, without_billing

HEADER = "x-anthropic-billing-header: cc_version=2.1.63.a1b; cc_entrypoint=cli; cch=0f1e2;"


def test_two_texts_keep_a_boundary():
    assert joined(["a", "b", "", "c"]) == "a\nb\nc"
    assert joined(["Be ", "brief.", "\nNow"]) == "Be brief.\nNow"
    assert joined([]) == ""


@given(st.lists(st.text("ab \n", max_size=4)))
def test_joining_loses_no_word(texts):
    assert joined(texts).split() == [word for text in texts for word in text.split()]


def test_the_billing_header_is_left_out_and_nothing_else():
    assert without_billing(HEADER) == ""
    assert without_billing("x-anthropic-billing-header: abc") == ""
    assert without_billing(f"{HEADER}\nYou are a pirate.") == "You are a pirate."
    assert without_billing(f"{HEADER} You are a pirate.\nArr.") == "You are a pirate.\nArr."
    assert without_billing(f"{HEADER}You are a pirate.") == "You are a pirate."
    assert without_billing(f"{HEADER}\n{HEADER}\nArr.") == "Arr."
    assert without_billing(f"Arr.\n{HEADER}") == f"Arr.\n{HEADER}"


@given(st.text())
def test_other_texts_stay_as_they_are(text):
    assert without_billing(text) == text

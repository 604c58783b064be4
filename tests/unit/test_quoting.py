"""What errors repeat of what was sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.quoting import LONGEST, bounded, excerpt


@given(st.text(max_size=300))
def test_an_excerpt_is_the_text_or_its_beginning_and_never_long(text):
    found = excerpt(text)
    assert len(found) <= LONGEST
    assert found == text or (found.endswith("...") and text.startswith(found[:-3]))


@given(st.text(max_size=50), st.integers(0, 100_000))
def test_a_message_is_bounded_and_keeps_its_beginning_and_its_end(text, more):
    message = text + "x" * more + text
    found = bounded(message)
    assert len(found) <= 2_000
    assert found.startswith(text)
    assert found.endswith(text)

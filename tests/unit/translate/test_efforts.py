"""The level of thinking nearest to the one asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.efforts import EFFORTS, OLLAMA_EFFORTS, nearest

LOW_TO_XHIGH = ("low", "medium", "xhigh")


@pytest.mark.parametrize(
    ("asked", "known", "given_"),
    [
        ("high", LOW_TO_XHIGH, "xhigh"),
        ("max", LOW_TO_XHIGH, "xhigh"),
        ("minimal", LOW_TO_XHIGH, "low"),
        ("xhigh", ("low", "medium", "high"), "high"),
        ("medium", ("low", "high"), "low"),
        ("low", ("minimal", "medium"), "minimal"),
        ("high", ("low",), "low"),
        ("minimal", OLLAMA_EFFORTS, "low"),
        ("xhigh", OLLAMA_EFFORTS, "max"),
        ("high", (), None),
    ],
)
def test_the_nearest(asked, known, given_):
    assert nearest(asked, known) == given_


@given(st.sampled_from(EFFORTS), st.sets(st.sampled_from(EFFORTS), min_size=1))
def test_a_known_level_stays_and_none_is_made_up(asked, known):
    assert nearest(asked, known) in known
    assert asked not in known or nearest(asked, known) == asked

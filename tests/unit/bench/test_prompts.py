from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.bench.prompts import LENGTHS, Prompts, words


@given(st.integers(10, 600), st.sampled_from([0.7, 1.0, 1.3, 2.5]))
def test_a_prompt_has_about_the_wanted_tokens(tokens, tokens_per_word):
    text = Prompts((tokens,), tokens_per_word=tokens_per_word).text("s", 0)
    # a word more or less, and the task's own seven words at the least
    assert len(text.split()) == pytest.approx(max(tokens / tokens_per_word, 8), abs=1)


@given(st.text(max_size=8), st.integers(0, 100))
def test_every_target_is_asked_the_same(seed, number):
    assert Prompts().text(seed, number) == Prompts().text(seed, number)


@given(st.integers(2, 600), st.integers(0, 100))
def test_targets_are_asked_the_same_words_but_begin_with_different_ones(tokens, number):
    """Those that share an engine would find each other's prompts in its KV cache."""
    texts = [Prompts((tokens,)).text("s", number, turned) for turned in range(3)]
    assert len({tuple(sorted(text.split(".")[0].split())) for text in texts}) == 1
    if len(set(texts[0].split(".")[0].split())) >= 20:
        assert len({tuple(text.split()[:6]) for text in texts}) == 3


def test_no_two_prompts_begin_alike():
    """A common beginning would be answered out of the KV cache."""
    beginnings = {tuple(Prompts().text(f"{round_}/5", n).split()[:6]) for round_ in range(10) for n in range(100)}
    assert len(beginnings) == 1000


def test_another_measurement_asks_something_else():
    one, other = Prompts(system=50, salt="a"), Prompts(system=50, salt="b")
    assert one.text("s", 0).split()[:6] != other.text("s", 0).split()[:6]
    assert one.system_text() != other.system_text()


def test_mixed_prompts_take_turns():
    made = Prompts(LENGTHS["mixed"])
    sizes = [len(made.text("s", number).split()) for number in range(6)]
    assert sizes[:3] == sizes[3:]
    assert sizes[0] < sizes[1] < sizes[2]


def test_the_system_prompt_is_shared_and_as_long_as_wanted():
    made = Prompts(system=1000)
    assert made.system_text() == made.system_text()
    assert len(made.system_text().split()) == 1000
    assert Prompts().system_text() == ""
    assert made.system_text("other") != made.system_text()


def test_words_depend_on_the_seed_from_the_first_one_on():
    assert len({words(1, str(seed)) for seed in range(50)}) > 20

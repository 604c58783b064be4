from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.engine.thinking import ThinkingSplitter, ends_inside


def split(chunks: list[str], *, inside: bool = False) -> tuple[str, str]:
    splitter = ThinkingSplitter(inside=inside)
    parts = [part for chunk in chunks for part in splitter.feed(chunk)] + splitter.end()
    return tuple("".join(text for kind, text in parts if kind == wanted) for wanted in ("thinking", "content"))


@pytest.mark.parametrize(
    ("text", "inside", "thinking", "content"),
    [
        ("Hello", False, "", "Hello"),
        ("<think>\nHm.\n</think>\n\nHello", False, "\nHm.\n", "\n\nHello"),
        ("  <think>Hm</think>Hi", False, "Hm", "Hi"),
        ("Hm.</think>Hi", True, "Hm.", "Hi"),
        ("never closed </thin", True, "never closed </thin", ""),
        ("<thi", False, "", "<thi"),
        ("  spaces stay", False, "", "  spaces stay"),
        ("Say <think> aloud", False, "", "Say <think> aloud"),
    ],
)
def test_cuts_at_the_tags_wherever_the_stream_is_cut(text, inside, thinking, content):
    for size in range(1, len(text) + 1):
        chunks = [text[i : i + size] for i in range(0, len(text), size)]
        assert split(chunks, inside=inside) == (thinking, content)


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "th", "ink>", "</", "a", " ", "\n"]), max_size=12),
    st.booleans(),
)
def test_loses_nothing_but_the_tags(chunks, inside):
    whole = "".join(chunks)
    thinking, content = split(chunks, inside=inside)
    bare = whole.replace("<think>", "", 1).replace("</think>", "", 1)
    assert "".join((thinking + content).split()) in {
        "".join(whole.split()),
        "".join(bare.split()),
        *("".join(whole.replace(tag, "", 1).split()) for tag in ("<think>", "</think>")),
    }


def test_a_prompt_with_an_open_tag_begins_with_thinking():
    assert ends_inside("<|assistant|><think>\n", {})
    assert not ends_inside("<think>\n\n</think>\n\n", {})
    tokens = {"<think>": 7, "</think>": 8}
    assert ends_inside([1, 7, 8, 2, 7, 3], tokens)
    assert not ends_inside([1, 7, 8], tokens)
    assert not ends_inside([1, 2], {})

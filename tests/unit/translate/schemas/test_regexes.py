"""Patterns for the grammar: on the text between a JSON string's quotes they say what the client's say of the value."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.translate.schemas.regexes import for_grammar

VALUES = (
    *("", "a", "b", "ab", "ac", "xbc", 'xa"b', "a\\b", "a\nb", "é", "😀x", "foo", "a foo b", "ABC", "abc", "12", "123"),
    *("12345678a", "https://x", "https://", "aaa", "/x", "\t", " ", "-", "a.b@c.de", '"', "\\", "aé_", "]", "^", "a-b"),
)
WHOLE = (
    *("a+", "^a", "^.*$", r"^\s$", r"^\n$", '^"$', r"^\\$", "^[^a]$", r"^\d{2,3}$", "^(?P<n>a|b)$", "^a|b$", "(^a|b)c"),
    *("^$", "", "(?i)^abc$", r"^[a-z0-9._%+-]+@[a-z]+\.[a-z]{2,}$", "^https?://", r"^\/x", r"[\s\S]", r"^[a-z-]+$"),
    *(
        "^(a|b)?$",
        "^[é😀]",
        r"\S",
        r"^\D+$",
        r'^[^"\\]+$',
        "^(?:a{2}){1,2}$",
        r"^[\-\]\[^]$",
        "^-$",
        "b$|^a",
        "a(b|c$)",
    ),
    *(r"^a+?b*?$", r"^\x61\u0062$", r"\.", "^(?:(?:a|b)c|abc)$", r"[\w.-]+@", "^a{0}b", "^[^\n]*$", r"\tb|\\b", "^]$"),
)


def matches(pattern: str, value: str) -> bool:
    """As the engine's grammar does it, which reads what is between the quotes."""
    return re.fullmatch(pattern, json.dumps(value, ensure_ascii=False)[1:-1]) is not None


@pytest.mark.parametrize("pattern", WHOLE)
def test_a_pattern_allows_what_the_clients_allows_and_nothing_else(pattern):
    regex = for_grammar(pattern)
    assert regex is not None
    assert regex.whole
    for value in VALUES:
        assert matches(regex.text, value) == bool(re.search(pattern, value, re.ASCII)), (regex.text, value)


@pytest.mark.parametrize(
    "pattern",
    [r"^(?=.*\d)(?=.*[a-z]).{8,}$", "^(?!foo)", r"(?<=x)b", r"\bfoo\b", r"a\Bb", "a^b", "a$|$b", "(a$)+c"],
)
def test_what_can_not_be_checked_is_left_out(pattern):
    regex = for_grammar(pattern)
    assert regex is not None
    assert not regex.whole
    for value in VALUES:
        if re.search(pattern, value):
            assert matches(regex.text, value), (regex.text, value)


def test_classes_of_unicode_allow_any_character():
    regex = for_grammar(r"^\p{Lu}[\p{Ll}-]{2,}$")
    assert regex is not None
    assert not regex.whole
    assert matches(regex.text, "Éà-")


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a)",
        "[",
        "[a",
        "a**",
        "*",
        "+a",
        "(?i:a)",
        "(?P=n)",
        r"(a)\1",
        "a{2,1}",
        "\\",
        "[z-a]",
        "[]",
        "\x00",
    ],
)
def test_of_what_the_grammar_can_not_read_nothing_is_kept(pattern):
    assert for_grammar(pattern) is None


def test_deep_and_long_patterns_end():
    assert for_grammar("(" * 5_000 + ")" * 5_000) is None
    assert for_grammar("." * 2_000) is None


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")  # Python's own thoughts about such patterns
@given(st.text(alphabet='ab"\\[](){}^$.|*+?-,:!=<>dwsDpPLnu0123 \n', max_size=12), st.sampled_from(VALUES))
def test_any_text_is_read_and_never_allows_less(pattern, value):
    regex = for_grammar(pattern)
    if regex is None:
        return
    try:
        allowed = bool(re.search(pattern, value, re.ASCII))
    except re.error:
        return  # JavaScript's own
    re.compile(regex.text)
    if not re.search(r"\\[pPuA-Z]|\$|\n|\{,|\(\?|\[\[|--|\|\||&&|~~|\\[0-9]", pattern):  # where Python differs
        assert matches(regex.text, value) or not allowed, regex.text

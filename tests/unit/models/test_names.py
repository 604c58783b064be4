from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllama.models.names import parse_name


@pytest.mark.parametrize(
    ("typed", "full", "short"),
    [
        ("mini", "registry.ollama.ai/library/mini:latest", "mini:latest"),
        ("acme/mini:q4", "registry.ollama.ai/acme/mini:q4", "acme/mini:q4"),
        ("library/mini", "registry.ollama.ai/library/mini:latest", "mini:latest"),
        ("hf.co/acme/Mini-GGUF:Q8_0", "hf.co/acme/Mini-GGUF:Q8_0", "hf.co/acme/Mini-GGUF:Q8_0"),
        ("localhost:5000/acme/mini", "localhost:5000/acme/mini:latest", "localhost:5000/acme/mini:latest"),
        ("  mini\n", "registry.ollama.ai/library/mini:latest", "mini:latest"),
        ("https://registry.ollama.ai/library/mini:1b", "registry.ollama.ai/library/mini:1b", "mini:1b"),
        ("_x/_y:_z", "registry.ollama.ai/_x/_y:_z", "_x/_y:_z"),
        (
            "a" * 80 + ":" + "b" * 80,
            "registry.ollama.ai/library/" + "a" * 80 + ":" + "b" * 80,
            "a" * 80 + ":" + "b" * 80,
        ),
    ],
)
def test_names_are_read_with_ollamas_defaults(typed: str, full: str, short: str):
    name = parse_name(typed)
    assert name is not None
    assert (name.full, name.short) == (full, short)


@pytest.mark.parametrize(
    "typed",
    ["", " ", ":tag", "name:", "/name", "ns/", "na me", "-name", "name@sha256:abc", "../x", "a" * 81, "x:" + "t" * 81,
     "a/b/c/d", "-h/ns/m", "h/n.s/m", "n.s/m", "käse", "a//b", "mini:a:b", "x\0", "a\nb", "http://mini",
     "http://acme/mini"],
)  # fmt: skip
def test_other_names_are_illegal(typed: str):
    assert parse_name(typed) is None


def test_lookup_does_not_mind_the_case():
    one, other = parse_name("MINI:Latest"), parse_name("mini")
    assert one is not None
    assert other is not None
    assert one.key == other.key
    assert one.short == "MINI:Latest"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_name_or_none(text: str):
    name = parse_name(text)
    if name is not None:
        assert parse_name(name.full) == name
        assert parse_name(name.short) == name


_PART = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,20}", fullmatch=True)


@settings(deadline=None)
@given(_PART, _PART, _PART)
def test_every_legal_spelling_is_read(namespace: str, model: str, tag: str):
    name = parse_name(f"{namespace}/{model}:{tag}")
    assert name is not None
    assert (name.namespace, name.model, name.tag) == (namespace, model, tag)

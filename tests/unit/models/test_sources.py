from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllama.models.names import parse_name
from vllama.models.sources import Source, parse_argument, parse_source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("builtin:tinychat", Source("builtin", "tinychat")),
        ("/models/mini", Source("directory", "/models/mini")),
        ("./mini", Source("directory", "./mini")),
        ("../mini", Source("directory", "../mini")),
        ("~/mini", Source("directory", "~/mini")),
        (".", Source("directory", ".")),
        ("Qwen/Qwen3-0.6B", Source("hub", "Qwen/Qwen3-0.6B")),
        ("Qwen/Qwen3-0.6B@main", Source("hub", "Qwen/Qwen3-0.6B", "main")),
        ("org/name@refs/pr/1", Source("hub", "org/name", "refs/pr/1")),
        ("https://huggingface.co/Qwen/Qwen3-0.6B", Source("hub", "Qwen/Qwen3-0.6B")),
        ("hf.co/Qwen/Qwen3-0.6B/", Source("hub", "Qwen/Qwen3-0.6B")),
    ],
)
def test_the_three_kinds_of_places(text: str, source: Source):
    assert parse_source(text) == source


@pytest.mark.parametrize(
    "text", ["", "mini", "a/b/c", "builtin:x", "org/", "/x\0", "org/na me", "org/..", "a/b@", "-a/b"]
)
def test_other_texts_are_no_place(text: str):
    assert parse_source(text) is None


@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_place_is_spelled_as_it_is_read(text: str):
    source = parse_source(text)
    assert source is None or parse_source(str(source)) == source


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("mini", ("mini", None)),
        ("MINI:latest", ("MINI:latest", None)),
        ("tinychat", ("tinychat", "builtin:tinychat")),
        ("Qwen/Qwen3-0.6B", ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B")),
        ("Qwen/Qwen3-0.6B@v2", ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B@v2")),
        ("01.AI/yi", ("yi", "01.AI/yi")),
        ("/models/My Model", ("My-Model", "/models/My Model")),
        ("models/here", ("here", "./models/here")),
        ("here", ("here", "./here")),
        ("chat=/models/x", ("chat", "/models/x")),
        ("chat:2b=Qwen/Qwen3-0.6B", ("chat:2b", "Qwen/Qwen3-0.6B")),
        ("t=builtin:tinychat", ("t", "builtin:tinychat")),
        ("/", ("model", "/")),
    ],
)
def test_what_serve_may_name(argument: str, found: tuple[str, str | None]):
    configured = {name.key for name in [parse_name("mini")] if name is not None}
    assert parse_argument(argument, configured, lambda text: text in {"here", "models/here"}) == found


@pytest.mark.parametrize("argument", ["unknown", "", "=", "a=", "=a/b", "bad name=a/b", "a=b/c/d", "x\0"])
def test_what_serve_can_make_nothing_of(argument: str):
    assert parse_argument(argument, (), lambda _: False) is None


@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_named_model_always_has_a_legal_name(text: str):
    found = parse_argument(text, (), lambda _: True)
    assert found is None or parse_name(found[0]) is not None

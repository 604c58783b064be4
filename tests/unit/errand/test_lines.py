"""The lines of an errand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.errand.lines import Advance, Failure, Result, failure_of, read, write
from vllama.errors import PullFailed

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**53), 2**53)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
lines = (
    st.builds(Advance, texts, numbers, numbers)
    | st.builds(Result, values)
    | st.builds(Failure, texts, texts, texts, texts)
)


@given(lines)
def test_what_is_written_is_one_line_and_is_read_as_it_was(line):
    written = write(line)
    assert written.count(b"\n") == 1
    assert read(written) == line


@given(st.binary(max_size=200) | values.map(repr).map(str.encode))
def test_whatever_else_comes_is_none_of_them_and_never_an_error(data):
    found = read(data)
    assert found is None or read(write(found)) == found


def test_an_error_loses_nothing_on_its_way():
    error = PullFailed("no /such/place", hint="look", advice="look at /such/place", where="/x", code="pull_unknown")
    assert failure_of(error) == Failure("pull_unknown", "no place", "look at /such/place", "/x")

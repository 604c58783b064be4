from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vllama.config.document import read_document


def test_every_key_and_list_entry_has_its_line():
    document = read_document("server:\n  port: 1\n\npreload:\n  - a\n  - b\n")
    assert document.value == {"server": {"port": 1}, "preload": ["a", "b"]}
    assert document.lines[("server", "port")] == 2
    assert document.lines[("preload", "1")] == 6
    assert not document.findings


def test_keys_are_taken_as_they_are_written():
    assert read_document("gpu:\n  16: {on: 1}\n").value == {"gpu": {"16": {"on": 1}}}


def test_a_key_given_twice_is_reported_with_both_lines():
    (finding,) = read_document("a: 1\nb:\n  c: 1\n  c: 2\n").findings
    assert (finding.line, finding.key) == (4, ("b", "c"))
    assert finding.message == "is given twice (first in line 3)"


def test_a_syntax_error_has_its_line():
    (finding,) = read_document("a: 1\nb: [1,\nc: 2\n").findings
    assert finding.line == 4
    assert finding.message.startswith("is not valid YAML")
    assert finding.message.endswith("begins in line 2")


def test_an_empty_text_is_an_empty_mapping():
    assert read_document("# nothing\n").value == {}


def test_a_list_or_a_word_is_no_configuration():
    for text in ("- a\n", "hello\n", "42"):
        (finding,) = read_document(text).findings
        assert "key: value" in finding.message


def test_what_yaml_can_but_a_configuration_should_not_is_refused():
    cases = {
        "a: !!python/object:os.system {}\n": "",
        "a: !!python/name:os.system x\n": "type that is not supported",
        "a: !!binary aGk=\n": "type that is not supported",
        "a: .inf\n": "finite",
        "a: .nan\n": "finite",
        "<<: {a: 1}\n": "not supported",
        "? [a]\n: 1\n": "single word",
        "a: &x [*x]\n": "refers to itself",
        "a: !!int x\n": "can't be read",
        "a: \x07\n": "not valid YAML",
    }
    for text, words in cases.items():
        findings = read_document(text).findings
        assert not words or words in findings[0].message, text


def test_dates_stay_text():
    assert read_document("a: 2026-11-21\n").value == {"a": "2026-11-21"}


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text: str):
    document = read_document(text)
    assert isinstance(document.value, dict)


@settings(deadline=None)
@given(st.text(alphabet="ab01 :-[]{}&*!|>'\"#%@\n\t,?<~.", max_size=80))
def test_any_yaml_is_read_or_refused(text: str):
    document = read_document(text)
    assert isinstance(document.value, dict)
    assert all(finding.message for finding in document.findings)

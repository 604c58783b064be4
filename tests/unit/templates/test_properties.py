"""Whatever the template: its text, or a TemplateError, in bounded time and memory."""

from __future__ import annotations

import re
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllama.templates import Days, JsonList, JsonMap, OneOrMore, Struct, TemplateError, parse, render
from vllama.templates.limits import Budget
from vllama.templates.printing import float_g, to_json

PIECES = st.sampled_from(
    ["{{", "}}", "{{- ", " -}}", "if ", "else", "end", "range ", "with ", "define ", "block ", "template ", "break",
     "continue", ".a", ".b.c", "$x", "$x := ", "$x = ", "$", ".", "nil", "true", "1", "-2", "0x1F", "1.5", '"t"', "`r`",
     "'c'", "eq ", "ne ", "lt ", "and ", "or ", "not ", "len ", "index ", "slice ", "printf ", "print ", "json ",
     "currentDate", "toTypeScriptType ",
     " ", "\n", "|", "(", ")", ",", "text", "é", "/*", "*/", '"',
     '"%d %s %v %-9q"', "x"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(PIECES, max_size=14).map("".join), st.dictionaries(st.sampled_from("ab"), VALUES))
@settings(max_examples=400)
def test_any_template_gives_text_or_a_template_error(source, data):
    with suppress(TemplateError):
        assert isinstance(render(parse(source), data), str)


@given(st.text())
@settings(max_examples=300)
def test_any_text_is_parsed_or_refused(source):
    with suppress(TemplateError):
        parse(source)


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(text):
    assert render(parse(text), {}) == text


@given(*[st.text(st.sampled_from(" \t\r\n"), max_size=3)] * 2, st.booleans(), st.booleans())
def test_trim_markers_take_the_white_space_on_their_side_and_no_more(before, after, left, right):
    source = f"a{before}{{{{{'- ' if left else ''}.x{' -' if right else ''}}}}}{after}b"
    assert render(parse(source), {"x": "X"}) == f"a{'' if left else before}X{'' if right else after}b"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_as_they_were_printed(value):
    assert float(float_g(value)) == value
    assert float(to_json(value, Budget())) == value


@pytest.mark.parametrize(
    "hostile",
    [
        "{{ range 1000000000 }}{{ end }}",
        "{{ range 100000 }}{{ range 100000 }}x{{ end }}{{ end }}",
        '{{ $x := "aaaaaaaa" }}{{ range 100 }}{{ $x = printf "%s%s" $x $x }}{{ end }}',
        '{{ range 100000 }}{{ printf "%1000000d" 1 }}{{ end }}',
        "{{ range 100000 }}{{ $.long }}{{ end }}",
        '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}',
        '{{ define "a" }}{{ template "b" }}{{ end }}{{ define "b" }}{{ template "a" }}{{ end }}{{ template "a" }}',
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ if 1 }}" * 3000 + "{{ end }}" * 3000,
        "x" * (1 << 20),
    ],
)
def test_a_hostile_template_is_stopped(hostile):
    began = time.monotonic()
    with pytest.raises(TemplateError):
        render(parse(hostile), {"long": "x" * 100_000})
    assert time.monotonic() - began < 10  # seconds of a busy machine; unstopped these take for ever


def test_a_value_nested_beyond_reason_is_not_printed():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    for source in ("{{ .v }}", "{{ json .v }}", '{{ printf "%s" .v }}'):
        with pytest.raises(TemplateError):
            render(parse(source), {"v": deep})


def test_the_deepest_template_that_is_accepted_runs():
    blocks = "{{ if 1 }}" * 90 + "x" + "{{ end }}" * 90
    parens = "{{ " + "(" * 90 + ".x" + ")" * 90 + " }}"
    assert render(parse(blocks), {}) == "x"
    assert render(parse(parens), {"x": "y"}) == "y"


class TestValues:
    def test_a_struct_prints_as_gos_do_or_as_json_when_it_says_so(self):
        plain = Struct("api.T", {"A": "x", "B": None, "C": [1, 2]})
        spoken = Struct("api.T", {"A": "<x>"}, {"a": "<x>", "n": 1.0}, prints_json=True)
        assert render(parse("{{ . }}|{{ .P }}|{{ .S }}"), {"P": plain, "S": spoken}).endswith(
            '|{x <nil> [1 2]}|{"a":"\\u003cx\\u003e","n":1}'
        )

    def test_an_unknown_field_of_a_struct_is_an_error_and_a_missing_key_is_not(self):
        data = {"S": Struct("*api.T", {"A": "x"}), "M": {}}
        assert render(parse("{{ .M.A }}"), data) == "<no value>"
        with pytest.raises(TemplateError, match=re.escape("can't evaluate field B in type *api.T")):
            render(parse("{{ with .S }}{{ .B }}{{ end }}"), data)

    def test_maps_and_lists_that_are_json_print_so(self):
        data = {"L": JsonList([JsonMap({"b": 1.0, "a": [True, None]})])}
        assert render(parse("{{ .L }}{{ index .L 0 }}"), data) == '[{"a":[true,null],"b":1}]{"a":[true,null],"b":1}'

    def test_one_word_prints_bare_and_several_as_a_list(self):
        assert render(parse("{{ .O }} {{ .M }}"), {"O": OneOrMore(["a"]), "M": OneOrMore(["a", "b"])}) == "a [a b]"

    def test_a_structs_fields_are_true_and_false_as_in_go(self):
        source = "{{ if .S }}s{{ end }}{{ if .S.E }}e{{ else }}-{{ end }}{{ if .S.Z }}z{{ else }}-{{ end }}"
        assert render(parse(source), {"S": Struct("T", {"E": [], "Z": 0})}) == "s--"


def test_dates_are_those_that_were_handed_over():
    said = render(parse("{{ currentDate }} {{ yesterdayDate }}"), {}, days=Days("2026-03-01", "2026-02-28"))
    assert said == "2026-03-01 2026-02-28"


def test_a_template_is_parsed_once():
    assert parse("{{ .a }} once") is parse("{{ .a }} once")


@pytest.mark.parametrize(
    "text", ["0x1p99999", "-0x1p" + "9" * 5_000, "1e999", "9" * 5_000, "0x" + "f" * 9_000, "07" * 9_000]
)
def test_a_number_that_no_64_bits_hold_is_refused_in_few_words(text):
    with pytest.raises(TemplateError) as refusal:
        parse("{{ " + text + " }}")
    assert len(str(refusal.value)) < 300

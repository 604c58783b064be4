from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.models.modelfile import Modelfile, ModelfileError, parse_modelfile, quoted, write_modelfile

FULL = '''# a comment
FROM llama3.2:3b
from ./second

PARAMETER temperature 0.5
Parameter num_ctx 4096
PARAMETER stop "<|end|> "
PARAMETER stop plain
PARAMETER use_mmap false
SYSTEM """
You are "brief".
# this is text
"""
TEMPLATE "{{ .Prompt }}
{{ .Response }}"
ADAPTER /tmp/lora
LICENSE One
LICENSE """Two "lines"
of it"""
MESSAGE user Hello: you
MESSAGE assistant " Hi "
RENDERER qwen3
'''
COMMANDS = (
    'command must be one of "from", "license", "template", "system", "adapter", "draft", "renderer", "parser", '
    '"parameter", "message", or "requires"'
)


def test_a_whole_modelfile():
    assert parse_modelfile(FULL) == Modelfile(
        base=("llama3.2:3b", "./second"),
        adapters=("/tmp/lora",),
        template="{{ .Prompt }}\n{{ .Response }}",
        system='\nYou are "brief".\n# this is text\n',
        license=("One", 'Two "lines"\nof it'),
        parameters={"temperature": 0.5, "num_ctx": 4096, "stop": ["<|end|> ", "plain"], "use_mmap": False},
        messages=({"role": "user", "content": "Hello: you"}, {"role": "assistant", "content": " Hi "}),
        others={"renderer": "qwen3"},
    )


def test_what_a_server_is_asked_for():
    asked = parse_modelfile(FULL).request()
    assert list(asked) == ["template", "system", "license", "parameters", "messages"]
    assert parse_modelfile("FROM x").request() == {}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "no FROM line"),
        ("# nothing\n", "no FROM line"),
        ("SYSTEM x", "no FROM line"),
        ("FROM", "unexpected EOF"),
        ("FROM\nx", f"(line 2): {COMMANDS}"),
        ("FROM x\nRUN y", f"(line 2): {COMMANDS}"),
        ("FROM x\n\n\nRUN-y", f"(line 4): {COMMANDS}"),
        ("FROM x\r\n!", f"(line 3): {COMMANDS}"),
        ('FROM x\nSYSTEM """never closed\n', "unexpected EOF"),
        ('FROM x\nSYSTEM "never closed\n', "unexpected EOF"),
        ("FROM x\nPARAMETER temperature\n", "unexpected EOF: temperature"),
        ("FROM x\nPARAMETER top-k 1\n", "unexpected EOF: top"),
        ("FROM x\nPARAMETER colour red", "unknown parameter 'colour'"),
        ("FROM x\nPARAMETER temperature hot", "invalid float value [hot]"),
        ("FROM x\nPARAMETER num_ctx 1.5", "invalid int value [1.5]"),
        ("FROM x\nPARAMETER use_mmap maybe", "invalid bool value [maybe]"),
        ("FROM x\nMESSAGE tool hi", '(line 2): message role must be one of "system", "user", or "assistant"'),
        ("FROM x\nMESSAGE User hi", '(line 2): message role must be one of "system", "user", or "assistant"'),
    ],
)
def test_what_is_wrong_is_reported_in_ollamas_words(text, error):
    with pytest.raises(ModelfileError, match=f"^{re.escape(error)}$"):
        parse_modelfile(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("FROM x\n\nRUN y", "Line 3 begins with 'RUN y'."),
        ("FROM x\r\nRUN y", "Line 2 begins with 'RUN y'."),
        (f"FROM x\n{'z' * 200}\n", f"Line 2 begins with '{'z' * 60}...'"),
        ("FROM", "Line 1 ends after 'FROM', without a value."),
        ('FROM x\nSYSTEM """never\nclosed\n', 'The quotes """ that open in line 2 are never closed.'),
        ("FROM x\nPARAMETER temperature\n", "Line 2: 'PARAMETER temperature' needs a name and a value."),
        ("FROM x\nPARAMETER top-k 1\n", "Line 2: 'PARAMETER top-k 1' needs a name and a value."),
        ("FROM x\nPARAMETER temprature 1", "Line 2: PARAMETER temprature. Did you mean temperature?"),
        ("FROM x\nPARAMETER temperature hot", "Line 2: PARAMETER temperature must be a number."),
        ("FROM x\nMESSAGE tool hi", "Line 2 has the role 'tool'."),
    ],
)
def test_an_error_has_the_line_and_what_is_written_there(text: str, hint: str):
    with pytest.raises(ModelfileError) as caught:
        parse_modelfile(text)
    assert caught.value.hint.startswith(hint)


def test_parameters_that_are_no_more_are_passed_over():
    read = parse_modelfile("FROM x\nPARAMETER mirostat 1\nPARAMETER low_vram true")
    assert (read.parameters, read.dropped) == ({}, ("mirostat", "low_vram"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_of_other_systems_are_read(encoding):
    mark = "\ufeff" if encoding[-2:] in {"le", "be"} else ""
    assert parse_modelfile(f"{mark}FROM x\r\nSYSTEM grüß\r\n".encode(encoding)).system == "grüß"


NBSP, ZERO, VT, BOM, SOFT, NEXT = "\u00a0", "\u200b", "\x0b", "\ufeff", "\u00ad", "\x85"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (f"You are{NBSP}brief.", "You arebrief."),
        (f"{NBSP} brief {NBSP}", "brief"),
        (f"a{ZERO}b{VT}c{BOM}d{SOFT}e{NEXT}f\x00g", "abcdefg"),
        ("a\tb", "a\tb"),
        (f'{ZERO}"quoted "{ZERO}', "quoted "),
        (f'"""a{NBSP}\n\tb\r\nc"""{VT}', "a\n\tb\r\nc"),
        (f'"{VT}two\nlines{VT}"', "two\nlines"),
        ("née 日本 👍", "née 日本 👍"),  # what prints stays
        ("", ""),
        ('""', ""),
        ('""""""', ""),
    ],
)
def test_characters_that_do_not_print_are_dropped_from_values(value: str, read: str):
    text = f"FROM x\nSYSTEM {value}\nLICENSE l\n"
    assert parse_modelfile(text).system == read
    assert parse_modelfile(text.encode()).system == read
    assert parse_modelfile(text.replace("SYSTEM ", "MESSAGE user ")).messages[0]["content"] == read
    assert parse_modelfile(text.replace("\n", "\r\n")).license == ("l",)


@pytest.mark.parametrize(("name", "read"), [(f"qwen3:0.6b{NBSP}", "qwen3:0.6b"), (f"{ZERO}./dir\u200d", "./dir")])
def test_a_name_that_was_copied_from_a_page_is_found(name: str, read: str):
    assert parse_modelfile(f"FROM {name}\nPARAMETER top_k 3{NBSP}\n") == Modelfile((read,), parameters={"top_k": 3})


@pytest.mark.parametrize("mark", [NBSP, ZERO, VT, BOM])
def test_one_character_that_does_not_print_may_stand_before_a_command(mark: str):
    assert parse_modelfile(f"{mark}FROM x\n{mark}SYSTEM y").system == "y"
    assert parse_modelfile(f"{BOM}{mark}FROM x".encode()).base == ("x",)
    for text in (f"{mark}{mark}FROM x\n", f"FROM{mark}x\n", f"FR{mark}OM x\n", f"FROM x\n{mark}\n", f"{mark} FROM x"):
        with pytest.raises(ModelfileError, match="command must be one of"):
            parse_modelfile(text if not text.startswith(BOM) else f"# hi\n{text}")
    with pytest.raises(ModelfileError, match="unexpected EOF"):
        parse_modelfile(f"FROM x\n{mark}")


@given(st.text(st.sampled_from(f'ab "\t{NBSP}{ZERO}{VT}#'), max_size=12))
def test_a_value_never_holds_what_does_not_print(text: str):
    with suppress(ModelfileError):
        assert all(
            char.isprintable() or char in "\t\r\n" for char in parse_modelfile(f"FROM x\nSYSTEM {text}\n").system
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [("bare", "bare"), ('say "hi"', 'say "hi"'), (" led", '" led"'), ("two\nlines", '"two\nlines"'),
     ('two "\nlines', '"""two "\nlines"""'), ('"whole"', '""""whole""""'), ("", "")],
)  # fmt: skip
def test_quotes_stand_only_where_they_are_needed(text, said):
    assert quoted(text) == said
    assert parse_modelfile(f"FROM x\nSYSTEM {said}\n").system == text


def representable(text: str) -> bool:
    """Ollama's form has no escapes: three quotes at the end of a line would end the text there."""
    return '"""' not in text and "\r" not in text and all(char.isprintable() or char in "\n\t" for char in text)


TEXT = st.text(st.sampled_from('ab "\n\té#:{}'), max_size=12).filter(representable)
BARE = st.text(st.sampled_from("ab:/.-_"), min_size=1, max_size=8)
MODELFILES = st.builds(
    Modelfile,
    base=st.tuples(BARE),
    adapters=st.lists(BARE, max_size=2).map(tuple),
    template=TEXT,
    system=TEXT,
    license=st.lists(TEXT, max_size=2).map(tuple),
    parameters=st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.floats(allow_nan=False, allow_infinity=False),
            "num_ctx": st.integers(-(2**31), 2**31),
            "use_mmap": st.booleans(),
            "stop": st.lists(TEXT, min_size=1, max_size=3),
        },
    ),
    messages=st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXT}), max_size=2
    ).map(tuple),
)


@given(MODELFILES)
def test_what_is_written_reads_back_the_same(modelfile):
    assert parse_modelfile(write_modelfile(modelfile)) == modelfile


PIECES = st.sampled_from(
    ["FROM ", "from", "PARAMETER ", "stop ", "temperature ", "MESSAGE ", "user ", "SYSTEM ", '"""', '"', "\n", "\r",
     " ", "\t", "#", "x", "é", "1"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_text_is_a_modelfile_or_an_error(text):
    with suppress(ModelfileError):
        assert parse_modelfile(text).base
    with suppress(ModelfileError):
        assert parse_modelfile(text.encode()).base


def test_a_long_text_is_read_in_one_pass():
    long = "\n".join(['line "of" text'] * 200_000)
    assert parse_modelfile(f'FROM x\nLICENSE """{long}"""\n').license == (long,)

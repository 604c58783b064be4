"""Schemas, prepared here, in the engine's own grammar backend: every one compiles, soon, and means what it says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fakes.model_dir import TINYCHAT
from tests.installed_engine import installed_engine
from tests.odd_schemas import ODD, TEXT, obj, schemas
from vllama.translate.schemas.grammars import MOST_BLANKS, response_format
from vllama.translate.schemas.preparing import prepare
from vllama.translate.schemas.regexes import for_grammar

SECONDS = 5.0
"""Of one core, for one schema; most take a thousandth of that."""
BATCH = 400

LARGE = {
    "500 members that may be absent": {"type": "object", "properties": {f"p{n}": TEXT for n in range(500)}},
    "500 alternatives": {"anyOf": [{"properties": {"k": {"const": n}, "v": TEXT}} for n in range(500)]},
    "nested": json.loads('{"properties":{"a":' * 40 + "{}" + "}}" * 40),
    "5000 values": {"enum": [f"value {n}" for n in range(5_000)]},
    "a long text": {"type": "string", "maxLength": 100_000},
    "a long pattern": {"type": "string", "pattern": "^.{1,1900}$"},
    "a pattern that backtracks": {"type": "string", "pattern": "^(a+)+b$"},
    "a pattern of many states": {"type": "string", "pattern": "a.{200}b.{200}$"},
    "100 patterns": {"type": "object", "properties": {f"p{n}": {"pattern": "foo.*bar"} for n in range(100)}},
    "many items": {"type": "array", "items": obj(), "minItems": 5_000, "maxItems": 100_000},
}


MEANINGS: list[tuple[Any, list[str], list[str]]] = [
    (
        obj(required=["a"]),
        ['{"a":"x"}', '{ "a" : "x" , "b":1}', '{\n  "a": "x",\n  "b": 1\n}', '{"a":' + MOST_BLANKS * " " + '"x"}'],
        ["{}", '{"a":"x","c":1}', '{"a":' + (MOST_BLANKS + 1) * " " + '"x"}', '{"a":1}'],
    ),
    ({"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, ['{"a":1}', '{"b": 2}'], ["{}"]),
    ({"type": ["string", "null"], "maxLength": 2}, ["null", '"ab"'], ['"abc"', "1"]),
    ({"type": "string", "pattern": '^"\\\\\\n$'}, [json.dumps('"\\\n')], ['"a"']),
    ({"type": "string", "pattern": "b+"}, ['"abc"', '"b"', '"\\"b\\n"'], ['"ac"']),
    ({"type": "string", "pattern": "^é"}, ['"éa"'], ['"aé"']),
    ({"type": "object", "propertyNames": {"pattern": "^x-"}}, ["{}", '{"x-a":1}'], ['{"a":1}']),
    ({"allOf": [{"minimum": 3}, {"type": "integer", "maximum": 5}]}, ["3", "5"], ["2", "6", "3.5"]),
    ({"type": "array", "items": [TEXT, {"type": "integer"}]}, ['["a", 1]', '["a"]', '["a",1,null]'], ["[1]"]),
    ({"enum": ["a", 1, None]}, ['"a"', "1", "null"], ["2", '"b"']),
    ({"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
     ["{}", '{"next": {"next": {}}}'], ['{"next":1}']),
    ({}, ["{}", "[1, 2]", "null", '"a"'], ["a"]),
]  # fmt: skip
"""Schema, answers that satisfy it, answers that don't."""


class Told(NamedTuple):
    """What the backend made of one schema."""

    error: str
    seconds: float
    accepted: list[bool]


Compile = Callable[[list[tuple[Any, list[str]]]], list[Told]]


@pytest.fixture(scope="module")
def compiled() -> Iterator[Compile]:
    """Prepares schemas and gives them to the backend, in the engine's interpreter, with texts to judge."""
    script = Path(__file__).with_name("xgrammar_compile.py")
    argv = [str(installed_engine().python), str(script), str(TINYCHAT)]
    environ = {"HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(argv, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as backend:
        assert backend.stdin is not None
        assert backend.stdout is not None
        asking, answers = backend.stdin, backend.stdout

        def ask(asked: list[tuple[Any, list[str]]]) -> list[Told]:
            forms = []
            for schema, texts in asked:
                wanted = response_format(prepare(schema).schema)
                assert wanted is not None
                forms.append((wanted["format"], texts))
            asking.write(json.dumps(forms) + "\n")
            asking.flush()
            line = answers.readline()
            assert line, "the backend ended; what it printed is below"
            return [Told(*reported) for reported in json.loads(line)]

        yield ask


def test_every_odd_and_every_large_schema_compiles(compiled: Compile):
    named = {**{name: schema for name, (schema, _) in ODD.items()}, **LARGE}
    for name, reported in zip(named, compiled([(schema, []) for schema in named.values()]), strict=True):
        assert not reported.error, name
        assert reported.seconds < SECONDS, name


def test_every_schema_that_hypothesis_thinks_of_compiles(compiled: Compile):
    found: list[Any] = []

    @seed(7)
    @settings(
        max_examples=BATCH,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(schemas())
    def collect(schema: Any) -> None:
        found.append(schema)

    collect()
    for schema, reported in zip(found, compiled([(schema, []) for schema in found]), strict=True):
        assert not reported.error, schema
        assert reported.seconds < SECONDS, schema


def test_a_prepared_schema_means_what_the_clients_means(compiled: Compile):
    asked = [(schema, [*right, *wrong]) for schema, right, wrong in MEANINGS]
    for (schema, right, wrong), reported in zip(MEANINGS, compiled(asked), strict=True):
        assert not reported.error, schema
        assert reported.accepted == [True] * len(right) + [False] * len(wrong), schema


def test_the_backend_reads_patterns_as_they_are_written_for_it(compiled: Compile):
    """Python's own reading of them is tested apart; this holds the backend's against it."""
    patterns = ["a+", "^a", "^.*$", r"^\s$", '^"$', r"^\\$", "^[^a]$", "(^a|b)c", "(?i)^abc$", r"^[\w.-]+@", "^[é😀]"]
    values = ["", "a", "ac", "xbc", 'xa"b', "a\\b", "a\nb", "é", "😀x", "ABC", "a.b@c.de", '"', "\\", "\t", " "]
    texts = [json.dumps(value, ensure_ascii=False) for value in values]
    asked: list[tuple[Any, list[str]]] = [({"type": "string", "pattern": pattern}, texts) for pattern in patterns]
    for pattern, reported in zip(patterns, compiled(asked), strict=True):
        regex = for_grammar(pattern)
        assert regex is not None
        assert regex.whole
        assert reported.accepted == [bool(re.search(pattern, value, re.ASCII)) for value in values], pattern

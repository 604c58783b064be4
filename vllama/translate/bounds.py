"""What one request may hold, checked before anything reaches an engine. Pure.

vLLM has no such bounds: a schema of doubling references, thousands of properties or alternatives keeps its core busy
for minutes after the client has gone, and a hundred thousand messages cost a gigabyte. The numbers are far above what
people send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from vllama.errors import BadRequest
from vllama.translate.pieces import ChatCall, TextCall

MAX_MESSAGES: Final = 10_000
MAX_TOOLS: Final = 512
MAX_IMAGES: Final = 256
MAX_STOPS: Final = 256
"""vLLM is started with the same bound (``VLLM_MAX_STOP_STRINGS``)."""
MAX_STOP_TEXT: Final = 1_000
"""Characters of one stop string, or of a word that the model is not to use."""
MAX_NAME: Final = 256
"""Characters of a tool's name; OpenAI allows 64."""
MAX_BIASES: Final = 10_000
"""Tokens that one request makes more or less likely."""
MAX_ECHO: Final = 65_536
"""Bytes of JSON of a request that each event which describes the answer repeats (Responses' ``metadata``)."""
MAX_INPUTS: Final = 10_000
MAX_DEPTH: Final = 64
MAX_NODES: Final = 5_000
"""Subschemas, references followed: what a grammar is made of."""
MAX_CHOICES: Final = 500
"""Alternatives of one ``anyOf`` or ``oneOf``."""
MAX_ENUM: Final = 5_000
MAX_OPTIONAL: Final = 500
"""Members of one object that may be absent: each may follow each, and the time grows with their cube (400: 0.2 s,
800: 1.6 s, 1600: more than 12 s in xgrammar, on one core of a small server)."""
MAX_SCHEMA_TEXT: Final = 1 << 20
"""Bytes of one schema as JSON."""
MAX_PATTERN_TEXT: Final = 32_768
"""Characters of all patterns of a schema, as they were sent."""
MAX_REFERENCE: Final = 1_000
"""Characters of one ``$ref``."""

LIGHT: Final = 500
"""Subschemas that are looked at on the event loop: some five milliseconds of one core."""
_CHARACTERS: Final = 16
"""Characters of a pattern, or names, that take as long as a subschema."""
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties", "dependentSchemas")
_SINGLE: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


class Heavy(Exception):
    """The schemas hold more than should be looked at here and now."""


def check_call(call: ChatCall | TextCall, *, most: int | None = None) -> None:
    """Raises BadRequest with what is too much.

    ``most``: so many subschemas (or as much other work) at most are looked at, then Heavy is raised: everything else
    is checked by then, and ``check_schemas`` does the rest.
    """
    if isinstance(call, ChatCall):
        _at_most(len(call.messages), MAX_MESSAGES, "messages")
        _at_most(len(call.tools), MAX_TOOLS, "tools")
        _at_most(sum(len(message.images) for message in call.messages), MAX_IMAGES, "images")
        for tool in call.tools:
            _check_length((tool.get("function") or {}).get("name"), MAX_NAME, "the name of a tool")
    _at_most(len(call.checked.stop), MAX_STOPS, "stop strings")
    for stop in call.checked.stop:
        _check_length(stop, MAX_STOP_TEXT, "a stop string")
    _check_engine_fields(call.engine_fields)
    check_schemas(schemas_of(call), most)


def schemas_of(call: ChatCall | TextCall) -> list[Mapping[str, Any]]:
    """The schemas of a call that a grammar is made of."""
    found: list[Any] = [call.format]
    if isinstance(call, ChatCall):
        # a call that must be made is written in a grammar of all their parameters, any call of a strict tool in its own
        forced = call.tool_choice not in (None, "auto", "none")
        functions = [tool.get("function") or {} for tool in call.tools]
        found += [function.get("parameters") for function in functions if forced or function.get("strict") is True]
    return [schema for schema in found if isinstance(schema, Mapping)]


def check_echo(values: Sequence[Any]) -> None:
    """What an answer repeats of its request although the model never sees it; raises BadRequest."""
    _at_most(_written(values), MAX_ECHO, "bytes that its answer would only repeat")


def check_inputs(texts: Sequence[Any]) -> None:
    """Texts of one embedding request."""
    _at_most(len(texts), MAX_INPUTS, "inputs")


def check_schemas(schemas: Iterable[Mapping[str, Any]], most: int | None = None) -> None:
    """Raises BadRequest for schemas that a grammar can't be made of in bounded time, Heavy as ``check_call``."""
    effort = _Effort(most)
    for schema in schemas:
        _at_most(_written(schema), MAX_SCHEMA_TEXT, "bytes in one schema")
        _Schema(schema, effort).size(schema, 0)


def check_schema(schema: Mapping[str, Any]) -> None:
    """The same for one."""
    check_schemas([schema])


def _at_most(found: int, limit: int, what: str) -> None:
    if found > limit:
        raise BadRequest(f"the request holds {found} {what}; at most {limit} are accepted")


def _written(value: Any) -> int:
    """Bytes of a value as JSON."""
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise BadRequest("the request holds a number that is too large") from None


def _check_length(text: Any, limit: int, what: str) -> None:
    if isinstance(text, str) and len(text) > limit:
        raise BadRequest(f"{what} has {len(text)} characters; at most {limit} are accepted")


def _check_engine_fields(fields: Mapping[str, Any]) -> None:
    """Of vLLM's own, those that it spends time on before it looks at their number."""
    words, biases = fields.get("bad_words"), fields.get("logit_bias")
    if isinstance(words, list):
        _at_most(len(words), MAX_STOPS, "bad words")
        for word in words:
            _check_length(word, MAX_STOP_TEXT, "a bad word")
    if isinstance(biases, list | dict):
        _at_most(len(biases), MAX_BIASES, "biases of tokens")


class _Effort:
    """What may still be looked at; None: as much as there is."""

    def __init__(self, most: int | None) -> None:
        self._left = most

    def spend(self, count: int = 1) -> None:
        if self._left is not None:
            self._left -= count
            if self._left < 0:
                raise Heavy


class _Schema:
    """Counts subschemas as they expand: a reference costs what it refers to, except to itself.

    Whatever is sent, it is given up after MAX_NODES of them, and no text in it is read that is longer than its bound.
    """

    def __init__(self, root: Mapping[str, Any], effort: _Effort) -> None:
        self._root = root
        self._effort = effort
        self._seen = 0
        self._pattern_text = 0
        self._sizes: dict[str, int] = {}

    def size(self, schema: Any, depth: int) -> int:
        """Subschemas below and with ``schema``."""
        if not isinstance(schema, Mapping):
            return 1
        if depth > MAX_DEPTH:
            raise BadRequest(f"the schema is nested more than {MAX_DEPTH} levels deep")
        self._seen += 1
        self._effort.spend()
        _at_most(self._seen, MAX_NODES, "subschemas")
        enum = schema.get("enum")
        _at_most(len(enum) if isinstance(enum, list) else 0, MAX_ENUM, "values in one enum")
        self._check_pattern(schema.get("pattern"))
        self._check_optional(schema)
        total = 1 + self._reference(schema.get("$ref"), depth)
        for key in _LISTS:
            choices = schema.get(key)
            if isinstance(choices, list):
                _at_most(len(choices), MAX_CHOICES, f"alternatives in one {key}")
                total += sum(self.size(choice, depth + 1) for choice in choices)
        for key in _MAPS:
            members = schema.get(key)
            if isinstance(members, Mapping):
                _at_most(len(members), MAX_NODES, key)
                total += sum(self.size(member, depth + 1) for member in members.values())
        total += sum(self.size(schema[key], depth + 1) for key in _SINGLE if isinstance(schema.get(key), Mapping))
        _at_most(total, MAX_NODES, "subschemas, references followed")
        return total

    def _check_optional(self, schema: Mapping[str, Any]) -> None:
        members, required = schema.get("properties"), schema.get("required")
        if isinstance(members, Mapping) and len(members) > MAX_OPTIONAL:
            names = required if isinstance(required, list) else []
            self._effort.spend(len(names) // _CHARACTERS)
            needed = {name for name in names if isinstance(name, str)}
            _at_most(len(members.keys() - needed), MAX_OPTIONAL, "members that may be absent from one object")

    def _check_pattern(self, pattern: Any) -> None:
        if not isinstance(pattern, str):
            return
        self._pattern_text += len(pattern)
        _at_most(self._pattern_text, MAX_PATTERN_TEXT, "characters in the patterns of a schema")
        self._effort.spend(len(pattern) // _CHARACTERS)

    def _reference(self, target: Any, depth: int) -> int:
        if not isinstance(target, str):
            return 0
        _check_length(target, MAX_REFERENCE, "a $ref of the schema")
        before = self._seen
        self._effort.spend()
        if target not in self._sizes:
            self._sizes[target] = 1  # while it is being counted, a reference to itself is one rule
            found: Any = self._root
            for part in filter(None, target.removeprefix("#").split("/")):
                if not isinstance(found, Mapping):
                    break  # there is nothing there, and no need to go on looking
                found = found.get(part.replace("~1", "/").replace("~0", "~"))
            self._sizes[target] = self.size(found, depth + 1)
        self._seen = max(self._seen, before + 1)
        return self._sizes[target]

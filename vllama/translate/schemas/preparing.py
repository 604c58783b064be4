"""A client's JSON schema, made ready for the engine's grammar. Pure.

The engine refuses a schema when one keyword is beyond its grammars, misreads others without a word, and crashes over
none so far. So nothing of a client's schema reaches it as it came: what can be enforced is rewritten in the few
words that its grammar holds exactly, and the names of the others are reported (``X-Vllama-Ignored``).

References are followed here, ``allOf`` is merged, and alternatives hold together with what stands beside them. A
reference stays one only where it is needed, for a schema that contains itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from vllama.errors import BadRequest
from vllama.translate.bounds import MAX_CHOICES, MAX_DEPTH, MAX_NODES
from vllama.translate.schemas.ends import ending
from vllama.translate.schemas.lengths import shorten
from vllama.translate.schemas.merging import merged
from vllama.translate.schemas.values import values
from vllama.translate.schemas.words import LISTS, key_of, read

_ABOUT: Final = frozenset({
    "title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$comment",
    "$schema", "$id", "id", "$anchor", "$defs", "definitions", "nullable", "discriminator", "xml", "externalDocs",
})  # fmt: skip
"""Beside a reference, these change nothing about a value; ``nullable`` is looked at apart."""
_MOST_STEPS: Final = 4 * MAX_NODES
Open = frozenset[str]
"""References entered since the last member or item: to enter one of them again would never end."""


@dataclass(frozen=True, slots=True)
class PreparedSchema:
    """What the engine gets, and what it does not."""

    schema: dict[str, Any]
    ignored: tuple[str, ...] = ()
    """Keywords that are not enforced, each once."""
    as_it_was: bool = False
    """The client's schema says the same in the same words."""


def prepare(schema: Any, *, prefix: str = "") -> PreparedSchema:
    """A schema that the grammar takes, for any that a client sends; ``prefix``: of the definitions' names.

    Raises BadRequest for one that would become too large.
    """
    preparing = _Preparing(schema, prefix)
    made = preparing.whole()
    return PreparedSchema(made, tuple(preparing.ignored), as_it_was=_bare(schema) == made)


class _Preparing:
    def __init__(self, root: Any, prefix: str) -> None:
        self._root = root
        self._prefix = prefix
        self._names: dict[str, str] = {}  # reference -> name of its definition
        self._waiting: list[str] = []
        self._within: set[str] = set()
        self._composed: dict[str, Any] = {}
        """By their JSON: what refers to more than one schema and is found again inside itself."""
        self._steps = 0
        self.ignored: dict[str, None] = {}

    def whole(self) -> dict[str, Any]:
        made = self._node(self._root, frozenset({"#"}), 0)
        if made is None:
            self._note_contradiction()
            made = {}
        definitions: dict[str, Any] = {}
        while self._waiting:
            target = self._waiting.pop()
            body = self._node(self._composed.get(target, self._found(target)), frozenset({target}), 0)
            definitions[self._names[target]] = {} if body is None else body
        ending(made, definitions, self.note)
        shorten([made, *definitions.values()], self.note)
        return {**made, "$defs": definitions} if definitions else made

    def _note_contradiction(self) -> None:
        """No value at all is allowed: the client gets any, and hears why."""
        said = ("$ref", *LISTS) if isinstance(self._root, Mapping) else ()
        for keyword in [key for key in said if self._root.get(key)] or ["false"]:
            self.note(keyword)

    def note(self, keyword: str) -> None:
        self.ignored.setdefault(keyword)

    def member(self, schema: Any, depth: int) -> dict[str, Any] | None:
        """A member's or an item's schema: a new value, which may be what contains it."""
        target = self._alone(schema)
        if target is not None:
            return self._definition(target)
        if not isinstance(schema, Mapping) or not any(schema.get(key) for key in ("$ref", *LISTS)):
            return self._node(schema, frozenset(), depth)
        same = key_of(schema).decode()
        if same in self._within or same in self._names:
            self._composed[same] = schema
            return self._definition(same)
        self._within.add(same)
        made = self._node(schema, frozenset(), depth)
        self._within.discard(same)
        return made

    def _node(self, schema: Any, entered: Open, depth: int) -> dict[str, Any] | None:
        """Any value's schema; None: no value is allowed."""
        if depth > MAX_DEPTH:
            raise BadRequest("the schema is nested too deeply")
        branches = self._branches(schema, entered, depth)
        if branches is None:
            branches = [
                value
                for plain in self._flat(schema, entered, depth)
                for value in values(plain, lambda inner: self.member(inner, depth + 1), self.note)
            ]
        return _either(branches)

    def _branches(self, schema: Any, entered: Open, depth: int) -> list[dict[str, Any]] | None:
        """Alternatives with nothing beside them, of which those that refer to a plain definition stay references."""
        if not isinstance(schema, Mapping) or schema.get("nullable") is True:
            return None
        keys = [key for key in schema if key not in _ABOUT and schema[key] is not None]
        if len(keys) != 1 or keys[0] not in ("anyOf", "oneOf") or not isinstance(schema[keys[0]], list):
            return None
        made = []
        for branch in schema[keys[0]]:
            target = self._alone(branch)
            if target is not None and target not in entered and self._is_plain(self._found(target)):
                made.append(self._definition(target))
            elif (node := self._node(branch, entered, depth + 1)) is not None:
                made.append(node)
        return made or None

    def _flat(self, schema: Any, entered: Open, depth: int) -> list[dict[str, Any]]:
        """The schema as alternatives without references, ``allOf`` and further alternatives."""
        self._steps += 1
        if self._steps > _MOST_STEPS or depth > MAX_DEPTH:
            raise BadRequest(f"the schema holds more than {MAX_NODES} subschemas, references followed")
        if not isinstance(schema, Mapping):
            return [] if schema is False else [{}]
        words = read(schema, self.note)
        parts = {key: words.pop(key, None) for key in ("$ref", *LISTS)}
        found = [words]
        if (reference := parts["$ref"]) is not None:
            found = self._and(found, self._followed(reference, entered, depth), "$ref")
        for part in parts["allOf"] or ():
            found = self._and(found, self._flat(part, entered, depth + 1), "allOf")
        for key in ("anyOf", "oneOf"):
            if parts[key] is not None:
                choices = [plain for part in parts[key] for plain in self._flat(part, entered, depth + 1)]
                found = self._and(found, choices, key)
        return found

    def _and(self, some: list[dict[str, Any]], others: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        if len(some) * len(others) > MAX_CHOICES:
            self.note(key)
            return some
        self._steps += len(some) * len(others)
        pairs = (merged(one, other, self.note) for one in some for other in others)
        return [both for both in pairs if both is not None]

    def _followed(self, reference: str, entered: Open, depth: int) -> list[dict[str, Any]]:
        target = self._resolved(reference)
        if target is None:
            self.note("$ref")
            return [{}]
        if target in entered:  # it says that it is itself
            return []
        return self._flat(self._found(target), entered | {target}, depth + 1)

    def _alone(self, schema: Any) -> str | None:
        """What the schema refers to, if it does nothing else."""
        if not isinstance(schema, Mapping) or schema.get("nullable") is True:
            return None
        said = [key for key in schema if key not in _ABOUT and schema[key] is not None]
        if said == ["$ref"] and isinstance(schema["$ref"], str):
            return self._resolved(schema["$ref"])
        if len(said) == 1 and said[0] in LISTS and isinstance(schema[said[0]], list) and len(schema[said[0]]) == 1:
            return self._alone(schema[said[0]][0])
        return None

    def _is_plain(self, schema: Any) -> bool:
        """Says itself what it is, so that a reference to it can't lead round in a circle."""
        return isinstance(schema, Mapping) and not any(schema.get(key) for key in ("$ref", *LISTS))

    def _definition(self, target: str) -> dict[str, Any]:
        if target not in self._names:
            self._names[target] = f"{self._prefix}{len(self._names)}"
            self._waiting.append(target)
        return {"$ref": f"#/$defs/{self._names[target]}"}

    def _resolved(self, reference: str) -> str | None:
        """The reference if it leads to something in this schema."""
        own = self._root.get("$id") if isinstance(self._root, Mapping) else None
        if isinstance(own, str) and own and not own.startswith("#"):
            reference = reference.removeprefix(own.rstrip("#"))
        if reference == "":
            reference = "#"
        return reference if reference.startswith("#") and self._found(reference) is not None else None

    def _found(self, reference: str) -> Any:
        pointer = unquote(reference.removeprefix("#"))
        if pointer and not pointer.startswith("/"):
            return self._anchored(pointer)
        found = self._root
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = found[int(key)] if key.isdecimal() and int(key) < len(found) else None
            else:
                found = found.get(key) if isinstance(found, Mapping) else None
        return found if isinstance(found, (Mapping, bool)) else None

    def _anchored(self, name: str) -> Any:
        waiting: list[Any] = [self._root]
        while waiting:
            schema = waiting.pop()
            if isinstance(schema, Mapping):
                if schema.get("$anchor") == name or f"#{name}" in (schema.get("$id"), schema.get("id")):
                    return schema
                waiting.extend(schema.values())
            elif isinstance(schema, list):
                waiting.extend(schema)
        return None


def _bare(schema: Any) -> Any:
    """The schema without what is only said about it."""
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    bare: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, Mapping):
            bare[key] = {name: _bare(member) for name, member in value.items()}
        elif key in ("items", "anyOf", "additionalProperties"):
            bare[key] = _bare(value)
        elif key not in _ABOUT:
            bare[key] = value
    return bare


def _either(branches: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """One of these; equal ones once."""
    kept: list[dict[str, Any]] = []
    for branch in branches:
        if branch == {}:
            return {}
        if branch not in kept:
            kept.append(branch)
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else {"anyOf": kept}

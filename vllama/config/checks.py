"""What no single key's type can get right: references between keys, and Ollama's options. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from vllama.config.document import KeyPath
from vllama.config.faults import shown, suggestion
from vllama.models.names import ModelName, parse_name
from vllama.models.parameters import KINDS, fits
from vllama.models.sources import parse_given

_WORDS: Final = {
    "float": "must be a number",
    "integer": "must be a whole number",
    "boolean": "must be true or false",
    "strings": "must be a list of texts",
}


def check_references(values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Key path and sentence of every finding in raw values, whatever else is wrong with them."""
    models = values.get("models")
    seen: dict[str, str] = {}
    for text in models if isinstance(models, Mapping) else ():
        if (name := parse_name(text)) is None:
            continue  # its type reports it
        if name.key in seen:
            yield ("models", text), f"is the same model as {seen[name.key]!r}"
        seen.setdefault(name.key, text)
    made_of = {text: _name_of_source(entry) for text, entry in (models.items() if isinstance(models, Mapping) else ())}
    for text, source in made_of.items():
        name = parse_name(text)
        if name is None or source is None or source.key == name.key or source.key not in seen:
            continue
        itself = made_of[seen[source.key]]
        if itself is None or itself.key != source.key:  # else both mean what is pulled under that name
            yield ("models", text, "source"), f"{seen[source.key]!r} is an entry of this file, too: write its source"


def _name_of_source(entry: Any) -> ModelName | None:
    """The other name that is an entry's source."""
    text = entry.get("source") if isinstance(entry, Mapping) else None
    source = parse_given(text) if isinstance(text, str) else None
    return parse_name(source.location) if source is not None and source.kind == "model" else None


def check_parameters(values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Findings about ``models.NAME.parameters``: the names and types that ``create`` and ``/set`` take, too."""
    models = values.get("models")
    for model, entry in models.items() if isinstance(models, Mapping) else ():
        parameters = entry.get("parameters") if isinstance(entry, Mapping) else None
        for name, value in parameters.items() if isinstance(parameters, Mapping) else ():
            key = ("models", model, "parameters", name)
            if name not in KINDS:
                yield key, "unknown parameter" + suggestion(name, KINDS)
            elif value is not None and not fits(name, value):
                yield key, f"{_WORDS[KINDS[name]]}, not {shown(value)}"

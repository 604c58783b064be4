"""What is kept of a name that was pulled, copied or created: one small JSON object each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import orjson

from vllama.errors import ModelUnusable
from vllama.models.names import ModelName, parse_name
from vllama.models.sources import Source, parse_stored

_VERSION: Final = 1
_TEXTS: Final = ("parent", "system", "template", "adapter", "tool_parser", "reasoning_parser")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a model's files are, and what a Modelfile adds to them."""

    name: ModelName
    source: Source
    """A repository always with the commit that was fetched, so that a branch that moves on changes nothing here."""
    revision: str = ""
    """Branch or tag of the repository that was asked for; empty: its main branch."""
    parent: str = ""
    """Shortest name of the model that it was created from."""
    system: str = ""
    template: str = ""
    license: tuple[str, ...] = ()
    """Of the Modelfile; empty: the files' own."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, Any], ...] = ()
    adapter: str = ""
    """Content hash of a LoRA adapter's files (``models.blobs``)."""
    tool_parser: str = ""
    """From the catalogue, for models whose chat template does not show it; so is ``reasoning_parser``."""
    reasoning_parser: str = ""

    @property
    def layers(self) -> dict[str, Any]:
        """What changes the model's answers, by kind; empty for a model as it was pulled."""
        found = {
            "system": self.system,
            "template": self.template,
            "license": list(self.license),
            "parameters": dict(self.parameters),
            "messages": [dict(message) for message in self.messages],
            "adapter": self.adapter,
        }
        return {kind: value for kind, value in found.items() if value}


def layer_digest(value: Any) -> str:
    """SHA-256 of one layer, 64 hex digits."""
    return sha256(value.encode() if isinstance(value, str) else _dumps(value)).hexdigest()


def model_digest(files: str, layers: Mapping[str, Any]) -> str:
    """The digest of a model: that of its files (``files``, 64 hex digits) while nothing was added to them."""
    return sha256(files.encode() + _dumps(layers)).hexdigest() if layers else files


def file_name(name: ModelName) -> str:
    """Of a name's manifest: the same for all spellings, another one for any other name, and never a path."""
    key = name.key
    model, tag = name.model.casefold(), name.tag.casefold()
    return f"{model}-{tag}-{sha256(key.encode()).hexdigest()[:16]}.json"


def write_manifest(manifest: Manifest) -> bytes:
    """As it stands on disk."""
    value: dict[str, Any] = {"version": _VERSION, "name": manifest.name.full, "source": str(manifest.source)}
    optional = {"revision": manifest.revision, **{name: getattr(manifest, name) for name in _TEXTS}}
    value |= {name: text for name, text in optional.items() if text}
    value |= {name: part for name, part in manifest.layers.items() if name not in _TEXTS}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def read_manifest(data: bytes) -> Manifest:
    """The opposite of ``write_manifest``; raises ModelUnusable for anything else, e.g. what a newer version wrote."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ModelUnusable(f"it is not valid JSON: {error.msg}") from error
    if not isinstance(value, dict) or value.get("version") != _VERSION:
        raise ModelUnusable(f"it is not a manifest of version {_VERSION}")
    name = parse_name(value["name"]) if isinstance(value.get("name"), str) else None
    source = parse_stored(value["source"]) if isinstance(value.get("source"), str) else None
    if name is None or source is None:
        raise ModelUnusable("it names no model, or no place of its files")
    texts = {key: value[key] for key in ("revision", *_TEXTS) if isinstance(value.get(key), str)}
    licenses, parameters, messages = value.get("license"), value.get("parameters"), value.get("messages")
    return Manifest(
        name=name,
        source=source,
        license=tuple(map(str, licenses)) if isinstance(licenses, list) else (),
        parameters=parameters if isinstance(parameters, dict) else {},
        messages=tuple(turn for turn in messages if isinstance(turn, dict)) if isinstance(messages, list) else (),
        **texts,
    )


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)

"""The JSON schema of the configuration file, for editors. Pure."""

from __future__ import annotations

import json
from typing import Any

from vllama.config.schema import Config


def json_schema() -> dict[str, Any]:
    """Draft 2020-12; a key may stand without a value (null means its default)."""
    schema = Config.model_json_schema()
    for section in (schema, *schema.get("$defs", {}).values()):
        required = section.get("required", ())
        for key, kind in section.get("properties", {}).items():
            if key not in required and {"type": "null"} not in kind.get("anyOf", ()):
                section["properties"][key] = _nullable(kind)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "vLLama configuration"}


def _nullable(kind: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {key: kind.pop(key) for key in ("title", "description", "default") if key in kind}
    return {"anyOf": [kind, {"type": "null"}], **described}


def schema_text() -> str:
    """As ``vllama config schema`` prints it and ``etc/vllama.schema.json`` holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"

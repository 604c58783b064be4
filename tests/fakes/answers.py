"""What the fake model says: deterministic, token by token, driven by the prompt's own words.

``Count to 20`` counts; a prompt that names a tool calls it (with the JSON object in the prompt as arguments);
``response_format`` gets a minimal JSON value; everything else is echoed.
"""

from __future__ import annotations

import base64
import itertools
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

_WORD = re.compile(r"\s?\w+|\s?[^\w\s]|\s")
_COUNT = re.compile(r"count to (\d+)", re.IGNORECASE)
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_THOUGHT = "\nThe user wants an answer.\n"
Kind = Literal["reasoning", "content", "tool"]


@dataclass(slots=True)
class Token:
    """One generated token. A ``tool`` token with a ``name`` opens the call number ``index``."""

    kind: Kind
    text: str
    index: int = 0
    name: str = ""


REFUSED = "a value of which no grammar can be made"


class GrammarError(Exception):
    """The JSON schema can't be made into a grammar."""


def split(text: str) -> list[str]:
    """Cut a text into tokens; joined they are the text again."""
    return _WORD.findall(text)


def token_id(text: str) -> int:
    """A stable id below 32,000."""
    return zlib.crc32(text.encode()) % 32_000


def answer(request: Mapping[str, Any], prompt: str, *, thinks: bool, fixed: str | None) -> Iterator[Token]:
    """All tokens of the answer; endless with ``ignore_eos``."""
    if thinks:
        yield from (Token("reasoning", piece) for piece in split(_THOUGHT))
    yield from _tool_calls(request, prompt) or _content(request, prompt, thinks=thinks, fixed=fixed)
    if request.get("ignore_eos"):
        yield from (Token("content", f" {n}") for n in itertools.count(1))


def _content(request: Mapping[str, Any], prompt: str, *, thinks: bool, fixed: str | None) -> Iterator[Token]:
    schema = _schema(request)
    if fixed is not None:
        text = fixed
    elif schema == {"type": "object"}:
        text = orjson.dumps({"answer": prompt[:40]}).decode()
    elif schema is not None:
        text = orjson.dumps(_example(schema)).decode()
    elif count := _COUNT.search(prompt):
        text = ", ".join(str(n) for n in range(1, int(count[1]) + 1))
    else:
        text = prompt
    return (Token("content", piece) for piece in split("\n\n" + text if thinks else text))


def _tool_calls(request: Mapping[str, Any], prompt: str) -> list[Token]:
    if request.get("tool_choice") == "none" or not asked_by_user(request):
        return []
    names = [tool["function"]["name"] for tool in request.get("tools") or ()]
    called = [name for name in names if name in prompt]
    given = _OBJECT.search(prompt)
    arguments = given[0] if given else "{}"
    tokens = []
    for index, name in enumerate(called):
        tokens.append(Token("tool", "", index, name))
        tokens += [Token("tool", piece, index) for piece in split(arguments)]
    return tokens


def asked_by_user(request: Mapping[str, Any]) -> bool:
    """The last message is the user's, not a tool's result."""
    messages = request.get("messages") or ({"role": "user"},)
    return bool(messages[-1].get("role") == "user")


def _example(schema: Mapping[str, Any]) -> Any:
    """A small value that fits the schema."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum") == [REFUSED]:
        raise GrammarError("Failed to transform json schema into a grammar: it is one that tests want refused")
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0])
    kind = schema.get("type", "object")
    simple = {"string": "text", "integer": 7, "number": 1.5, "boolean": True, "null": None}
    if kind in simple:
        return simple[kind]
    if kind == "array":
        return [_example(schema.get("items") or {"type": "integer"})]
    if kind == "object":
        return {name: _example(inner) for name, inner in (schema.get("properties") or {}).items()}
    raise GrammarError(f'Failed to transform json schema into a grammar: Unsupported type "{kind}"')


def check_grammar(request: Mapping[str, Any]) -> None:
    """Raise GrammarError as the engine would, after it has the request."""
    if (schema := _schema(request)) is not None:
        _example(schema)


def _schema(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the answer's form is: ``json_object``, ``json_schema`` or a ``structural_tag`` that is a schema's."""
    wanted = request.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return {"type": "object"}
    if wanted.get("type") == "json_schema":
        schema: Mapping[str, Any] = wanted["json_schema"].get("schema") or {}
        return schema
    if wanted.get("type") == "structural_tag" and wanted["format"]["type"] == "json_schema":
        tagged: Mapping[str, Any] = wanted["format"]["json_schema"]
        return tagged
    return None


def rendered(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tokens of a conversation inside the chat template."""
    words = [word for message in messages for word in split(last_words([message]))]
    return words + ["<|im_start|>"] * (2 * len(messages) + 1)


def last_words(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the last message; of a picture how it begins and its size, for whoever asks what was seen."""
    content = messages[-1].get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(
        _seen(part["image_url"]["url"]) if "image_url" in part else part.get("text", "") for part in content
    )


def _seen(url: str) -> str:
    data = base64.b64decode(url.partition(";base64,")[2], validate=True)
    return f"[picture of {len(data)} bytes: {data[:4].hex()}]"

"""Chunks of a streamed answer that are written without pydantic, byte for byte as pydantic would write them.

vLLM makes each token's chunk of two or three pydantic models, which validate what vLLM has just computed, and has
pydantic write them. With ``corruption_check`` that is a sixth of what its API server computes for a token. Here plain
values stand for the models. What is not plain (tool calls, logprobs, usage) gets the models.

Used by ``chat_chunks`` and ``text_chunks``.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json  # what pydantic's own models are written with

_ORDER = ("id", "object", "created", "model")
"""The fields of a chunk that precede its choices, in the models' order."""


class Choice:
    """Stands for a choice; ``fields`` in the model's order."""

    __slots__ = ("fields",)

    tool_calls = ()

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    @property
    def finish_reason(self) -> str | None:
        """vLLM looks whether the answer has ended."""
        found: str | None = self.fields["finish_reason"]
        return found


class Chunk:
    """Stands for a chunk with one such choice; vLLM may still set the two attributes."""

    __slots__ = ("_fields", "_model", "system_fingerprint", "usage")

    def __init__(self, model: Any, fields: dict[str, Any]) -> None:
        self._model = model
        self._fields = fields
        self.usage = self.system_fingerprint = None

    def model_dump_json(self, *, exclude_unset: bool) -> str:
        """The chunk as JSON; ``exclude_unset`` is true wherever vLLM calls this."""
        if self.usage is None and self.system_fingerprint is None:
            return to_json(self._fields).decode()
        chunk = self._model(**self._fields)
        for name in ("usage", "system_fingerprint"):
            if (value := getattr(self, name)) is not None:
                setattr(chunk, name, value)
        text: str = chunk.model_dump_json(exclude_unset=exclude_unset)
        return text


def chunk_of(model: Any, fields: dict[str, Any]) -> Any:
    """A chunk with these fields: ours where it has one choice, which is ours, and says nothing more."""
    choices = fields["choices"]
    if len(choices) == 1 and type(choices[0]) is Choice and len(fields) == len(_ORDER) + 1:
        ordered = {name: fields[name] for name in _ORDER}
        ordered["choices"] = [choices[0].fields]
        return Chunk(model, ordered)
    return model(**{**fields, "choices": [each.fields if type(each) is Choice else each for each in choices]})

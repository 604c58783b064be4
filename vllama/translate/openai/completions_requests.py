"""OpenAI's legacy text completions and its embeddings as calls of ours. Pure.

As in Ollama a prompt is one string and the model's chat template is put around it. Beyond Ollama ``logprobs`` and
``n`` are honoured, and vLLM's own sampling fields work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.decoding import Body, Integer, decode, expect
from vllama.translate.engine_fields import engine_fields
from vllama.translate.openai.requests import Sampling, choices_of, sampling_options
from vllama.translate.openai_parts import go_type

MAX_ANSWERS = 128
"""To all prompts of one request; each answer is a request of its own to the engine."""


def token_lists(given: Any) -> tuple[tuple[int, ...], ...] | None:
    """One or several lists of tokens' ids; None where it is neither."""
    if _are_tokens(given):
        return (tuple(given),)
    several = isinstance(given, list) and bool(given) and all(_are_tokens(ids) for ids in given)
    return tuple(tuple(ids) for ids in given) if several else None


def _are_tokens(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(token) is int and 0 <= token < 2**31 for token in given)


def _prompts(value: Any) -> tuple[str | tuple[int, ...], ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if (lists := token_lists(value)) is None:
        expect("a text, a list of texts, or tokens")
    return lists


PromptField = Annotated[Any, BeforeValidator(_prompts)]
"""A text, texts, the ids of tokens, or lists of those; Ollama takes a text alone."""


class _Completion(Sampling):
    prompt: PromptField = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    suffix: str = ""
    logprobs: Integer | None = None


class _Embed(Body):
    model: str = ""
    input: Any = None
    dimensions: Integer = 0
    encoding_format: str = ""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A decoded request to ``/v1/completions``."""

    model: str
    prompts: tuple[str | tuple[int, ...], ...]
    """Texts to be answered or ids of tokens to be continued; none: only load the model."""
    suffix: str
    options: dict[str, Any]
    engine_fields: dict[str, Any]
    logprobs: int | None
    """Alternatives per token; None: no logprobs."""
    stream: bool
    include_usage: bool
    choices: int
    """To each prompt."""


def read_completion(body: bytes) -> CompletionRequest:
    """Decode and check a request body; raises BadRequest."""
    asked = decode(body, _Completion)
    options = sampling_options(asked)
    options["top_p"] = options["top_p"] or 1.0
    if asked.max_tokens is not None:
        options["num_predict"] = asked.max_tokens
    if stops := _stops(asked.stop):
        options["stop"] = stops
    return CompletionRequest(
        model=asked.model,
        prompts=asked.prompt,
        suffix=asked.suffix,
        options=options,
        engine_fields=engine_fields(asked),
        logprobs=asked.logprobs,
        stream=asked.stream,
        include_usage=asked.stream_options.include_usage,
        choices=_choices(len(asked.prompt), choices_of(asked.n, options)),
    )


def _choices(prompts: int, each: int) -> int:
    if prompts * each > MAX_ANSWERS:
        raise BadRequest(f"the request wants {prompts * each} answers; at most {MAX_ANSWERS} are accepted")
    return each


def _stops(stop: Any) -> list[str]:
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    for text in stops:
        if not isinstance(text, str):
            raise BadRequest(f"invalid type for 'stop' field: {go_type(text)}")
    return stops


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """A decoded request to ``/v1/embeddings``."""

    model: str
    input: Any
    """As given; whether it is a string, a list of strings or of tokens is the handler's to check."""
    dimensions: int
    base64: bool


def read_embedding(body: bytes) -> EmbeddingsRequest:
    """Decode and check a request body; raises BadRequest."""
    asked = decode(body, _Embed)
    encoding = asked.encoding_format
    if encoding.lower() not in {"", "float", "base64"}:
        allowed = "['float', 'base64']"
        raise BadRequest(f"Invalid value for 'encoding_format' = {excerpt(encoding)}. Supported values: {allowed}.")
    if asked.input is None or asked.input == []:
        raise BadRequest("invalid input")
    return EmbeddingsRequest(asked.model, asked.input, asked.dimensions, encoding.lower() == "base64")

"""OpenAI's legacy text completions and its embeddings as calls of ours (contract 6.3, 6.4). Pure.

As in Ollama a prompt is one string and the model's chat template is put around it. Beyond Ollama ``logprobs`` and
``n`` are honoured, and vLLM's own sampling fields work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.engine_fields import VLLM_FIELDS, engine_fields
from vllama.translate.gojson import ANY, BOOL, FLOAT, INT, STRING, Shape, decode, pointer, struct
from vllama.translate.goshapes import Trace, kind_of, plain
from vllama.translate.openai.requests import SEED, STREAM_OPTIONS, choices_of, sampling_options
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


def _read_float32(value: Any, trace: Trace) -> Any:
    return FLOAT.read(value, trace) if kind_of(value) == "number" else trace.mismatch(value, FLOAT32)


def _read_prompts(value: Any, trace: Trace) -> Any:
    if isinstance(value, str):
        return (value,) if value else ()
    given = plain(value, trace) if kind_of(value) == "array" else None
    if given is not None and all(isinstance(item, str) for item in given):
        return tuple(given)
    if (lists := token_lists(given)) is None:
        return trace.mismatch(value, STRING) or ()
    return lists


PROMPTS = Shape("string", tuple, _read_prompts)
"""A text, texts, the ids of tokens, or lists of those; Ollama takes a text alone."""
FLOAT32 = Shape("float32", float, _read_float32)
_COMPLETION = struct(
    "CompletionRequest",
    "openai.CompletionRequest",
    {
        "model": STRING,
        "prompt": PROMPTS,
        "frequency_penalty": FLOAT32,
        "max_tokens": pointer(INT),
        "presence_penalty": FLOAT32,
        "seed": pointer(SEED),
        "stop": ANY,
        "stream": BOOL,
        "stream_options": pointer(STREAM_OPTIONS),
        "temperature": pointer(FLOAT32),
        "top_p": FLOAT32,
        "suffix": STRING,
        "logprobs": pointer(INT),
        "n": pointer(INT),
        **VLLM_FIELDS,
    },
)
_EMBED = struct(
    "EmbedRequest",
    "openai.EmbedRequest",
    {"model": STRING, "input": ANY, "dimensions": INT, "encoding_format": STRING},
)


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
    fields = decode(body, _COMPLETION, empty="EOF")
    options = sampling_options(fields | {"top_p": fields["top_p"] or None})
    if fields["max_tokens"] is not None:
        options["num_predict"] = fields["max_tokens"]
    if stops := _stops(fields["stop"]):
        options["stop"] = stops
    return CompletionRequest(
        model=fields["model"],
        prompts=fields["prompt"],
        suffix=fields["suffix"],
        options=options,
        engine_fields=engine_fields(fields),
        logprobs=fields["logprobs"],
        stream=fields["stream"],
        include_usage=bool((fields["stream_options"] or {}).get("include_usage")),
        choices=_choices(len(fields["prompt"]), choices_of(fields["n"], options)),
    )


def _choices(prompts: int, each: int) -> int:
    if prompts * each > MAX_ANSWERS:
        raise BadRequest(f"the request wants {prompts * each} answers; at most {MAX_ANSWERS} are given")
    return each


def _stops(stop: Any) -> list[str]:
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    for text in stops:
        if not isinstance(text, str):
            raise BadRequest(f"invalid type for 'stop' field: {go_type(text)}")
    return stops


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A decoded request to ``/v1/embeddings``."""

    model: str
    input: Any
    """As given; whether it is a string, a list of strings or of tokens is the handler's to check."""
    dimensions: int
    base64: bool


def read_embedding(body: bytes) -> EmbeddingRequest:
    """Decode and check a request body; raises BadRequest."""
    fields = decode(body, _EMBED, empty="EOF")
    encoding = fields["encoding_format"]
    if encoding.lower() not in {"", "float", "base64"}:
        allowed = "['float', 'base64']"
        raise BadRequest(f"Invalid value for 'encoding_format' = {excerpt(encoding)}. Supported values: {allowed}.")
    if fields["input"] is None or fields["input"] == []:
        raise BadRequest("invalid input")
    return EmbeddingRequest(fields["model"], fields["input"], fields["dimensions"], encoding.lower() == "base64")

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
from vllama.translate.goshapes import Trace, kind_of
from vllama.translate.openai_parts import go_type
from vllama.translate.openai_requests import SEED, STREAM_OPTIONS, choices_of, sampling_options


def _read_float32(value: Any, trace: Trace) -> Any:
    return FLOAT.read(value, trace) if kind_of(value) == "number" else trace.mismatch(value, FLOAT32)


FLOAT32 = Shape("float32", float, _read_float32)
_COMPLETION = struct(
    "CompletionRequest",
    "openai.CompletionRequest",
    {
        "model": STRING,
        "prompt": STRING,
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
    prompt: str
    """Empty: only load the model."""
    suffix: str
    options: dict[str, Any]
    engine_fields: dict[str, Any]
    logprobs: int | None
    """Alternatives per token; None: no logprobs."""
    stream: bool
    include_usage: bool
    choices: int


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
        prompt=fields["prompt"],
        suffix=fields["suffix"],
        options=options,
        engine_fields=engine_fields(fields),
        logprobs=fields["logprobs"],
        stream=fields["stream"],
        include_usage=bool((fields["stream_options"] or {}).get("include_usage")),
        choices=choices_of(fields["n"], options),
    )


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
    """As given; whether it is a string or a list of strings is the native handler's to check."""
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

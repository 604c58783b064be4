"""What clients are told when an engine refuses or breaks, in the words they know (contract 3.10, 8.5, 10). Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from vllama.errors import BadRequest, Busy, EngineGone, EngineRefused, VllamaError
from vllama.quoting import bounded

TOO_LONG: Final = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, "
    "adjust the context length in settings, or use a model with a longer context length"
)
_MID_STREAM: Final = "an error was encountered while running the model: "


def is_too_long(error: VllamaError) -> bool:
    """Did vLLM refuse a prompt for its length?"""
    return isinstance(error, EngineRefused) and "maximum context length" in error.message


def exceeds_context(tokens: int, context_length: int) -> BadRequest:
    """A prompt that may not be shortened: the text that Ollama passes on from its backend."""
    return _backend_error(
        f"request ({tokens} tokens) exceeds the available context size ({context_length} tokens), try increasing it",
        "exceed_context_size_error",
        n_prompt_tokens=tokens,
        n_ctx=context_length,
    )


def refusal(error: EngineRefused) -> VllamaError:
    """vLLM's refusal of a request as Ollama tells its backend's: the backend's error object, as text."""
    if 400 <= error.http_status < 500:
        return _backend_error(error.message, "invalid_request_error", status=error.http_status)
    return Busy(error.message) if error.http_status == Busy.status else error


def _backend_error(message: str, kind: str, *, status: int = 400, **details: Any) -> BadRequest:
    told = {"error": {"code": status, "message": bounded(message), "type": kind, **details}}
    return BadRequest(json.dumps(told, ensure_ascii=False), status=status)


def mid_stream(error: VllamaError) -> str:
    """The text of the error line that ends a stream."""
    message = bounded(error.message)
    return _MID_STREAM + message if isinstance(error, EngineGone) else message

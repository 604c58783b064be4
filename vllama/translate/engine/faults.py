"""The errors that clients get when an engine refuses or breaks, in Ollama's words. Pure."""

from __future__ import annotations

import json
from typing import Final

from vllama.errors import BadRequest, Busy, EngineError, EngineGone, EngineRefused, VllamaError
from vllama.quoting import bounded

TOO_LONG: Final = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, "
    "adjust the context length in settings, or use a model with a longer context length"
)
_SAID: Final = 200
"""Most characters of a template's own words."""
_PYDANTIC: Final = "validation error"
_MID_STREAM: Final = "an error was encountered while running the model: "


def is_too_long(error: VllamaError) -> bool:
    """Did vLLM refuse a prompt for its length?"""
    return isinstance(error, EngineRefused) and "maximum context length" in error.message


def is_refused_form(error: EngineRefused) -> bool:
    """Did vLLM refuse the grammar of an answer?"""
    return error.field.startswith(("response_format", "structured_outputs"))


def exceeds_context(tokens: int, context_length: int) -> BadRequest:
    """A prompt that may not be shortened: the text that Ollama passes on from its backend."""
    reported = {
        "code": 400,
        "message": f"request ({tokens} tokens) exceeds the available context size ({context_length} tokens), "
        "try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": tokens,
        "n_ctx": context_length,
    }
    return BadRequest(json.dumps({"error": reported}))


def in_our_words(error: VllamaError) -> VllamaError:
    """Any error as a client may see it: what an engine said is never handed on."""
    return refusal(error) if isinstance(error, EngineRefused) else error


def refusal(error: EngineRefused) -> VllamaError:
    """vLLM's refusal of a request in our words, with the name of the field where it is known."""
    status = error.http_status
    if status == Busy.status:
        return Busy("the model's engine takes no more requests right now")
    if not 400 <= status < 500:
        return EngineError("the model's engine failed to answer this request", status=status)
    if is_too_long(error):
        return BadRequest(TOO_LONG)
    if is_refused_form(error):
        return BadRequest("the model's engine can't force its answer into this format (format, response_format)")
    if error.field:
        return BadRequest(f'the model\'s engine does not accept the value of "{error.field}"')
    return BadRequest("the model's engine or its chat template does not accept this request")


def refused_by_template(error: EngineRefused) -> VllamaError:
    """The chat template raised, even for the plainest form of the conversation: in our words, with what it says."""
    if _PYDANTIC in error.message:  # then it never came to the template
        return refusal(error)
    said = " ".join(error.message.split())[:_SAID]
    return BadRequest(
        f"the model's chat template refuses this conversation: {said}",
        hint="Change the roles or the order of the messages.",
        status=error.http_status,
    )


def mid_stream(error: VllamaError) -> str:
    """The text of the error line that ends a stream."""
    error = in_our_words(error)
    message = bounded(error.message)
    return _MID_STREAM + message if isinstance(error, EngineGone) else message

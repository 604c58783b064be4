"""What vLLM refuses before a request reaches the engine, with its words (HTTP 400)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Refused(Exception):
    """Answer with this status and vLLM error body."""

    def __init__(
        self, message: str, param: str | None = None, status: int = 400, kind: str = "BadRequestError"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.kind = kind


_RANGES: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("temperature", lambda v: 0 <= v <= 2, "temperature must be in [0, 2]"),
    ("top_p", lambda v: 0 < v <= 1, "top_p must be in (0, 1]"),
    ("top_k", lambda v: v >= -1 and v == int(v), "top_k must be -1 (disable), 0 or at least 1"),
    ("min_p", lambda v: 0 <= v <= 1, "min_p must be in [0, 1]"),
    ("repetition_penalty", lambda v: v > 0, "repetition_penalty must be greater than zero"),
    ("presence_penalty", lambda v: -2 <= v <= 2, "presence_penalty must be in [-2, 2]"),
    ("frequency_penalty", lambda v: -2 <= v <= 2, "frequency_penalty must be in [-2, 2]"),
    ("seed", lambda v: -(2**63) <= v < 2**63, "seed must be a 64-bit integer"),
    ("n", lambda v: v >= 1, "n must be at least 1"),
    ("max_tokens", lambda v: v >= 1, "max_tokens must be at least 1"),
    ("max_completion_tokens", lambda v: v >= 1, "max_completion_tokens must be at least 1"),
)


def check_model(body: Mapping[str, Any], names: list[str]) -> None:
    """An unknown model is a 404; a missing one is accepted."""
    model = body.get("model")
    if model and model not in names:
        known = ", ".join(names)
        message = f"The model `{model}` does not exist. Valid aliases: {known}."
        raise Refused(message, "model", 404, "NotFoundError")


def check_parameters(body: Mapping[str, Any], *, max_model_len: int, max_stops: int, tools: bool) -> None:
    """Sampling parameters, stops, tools and lengths."""
    for name, good, message in _RANGES:
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refused(f"1 validation error:\n  {{'loc': ('body', '{name}')}}", name, 400, "Bad Request")
        if not good(value):
            raise Refused(f"{message}, got {value}. (parameter={name}, value={value})", name)
    for name in ("max_tokens", "max_completion_tokens"):
        if (body.get(name) or 0) > max_model_len:
            raise Refused(
                f"max_tokens={body[name]} cannot be greater than max_model_len={max_model_len}. Please request fewer "
                f"output tokens. (parameter=max_tokens, value={body[name]})",
                "max_tokens",
            )
    stops = stop_strings(body)
    if len(stops) > max_stops:
        raise Refused(f"The number of stop strings ({len(stops)}) exceeds the maximum ({max_stops}).", "stop")
    if "" in stops:
        raise Refused("stop cannot contain an empty string.", "stop")
    if body.get("tools") == []:
        raise Refused(
            "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely. "
            "(parameter=tools)",
            "tools",
        )
    if body.get("tools") and body.get("tool_choice", "auto") != "none" and not tools:
        raise Refused('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    if body.get("stream_options") and not body.get("stream"):
        raise Refused("Stream options can only be defined when `stream=True`.", "stream_options")


def check_messages(body: Mapping[str, Any], model: str, *, eyes: bool) -> None:
    """Messages of a chat; ``eyes``: the model takes pictures."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise Refused("1 validation error:\n  {'type': 'missing', 'loc': ('body', 'messages')}", "messages")
    if not messages:
        raise Refused("Cannot apply chat template to an empty conversation. Provide at least one message.")
    for message in messages:
        content = message.get("content")
        if not eyes and isinstance(content, list) and any(part.get("type") == "image_url" for part in content):
            raise Refused(f"{model} is not a multimodal model")
        for call in message.get("tool_calls") or ():
            if not isinstance(call.get("id"), str) or not isinstance(call["function"].get("arguments"), str):
                raise Refused("3 validation errors:\n  {'loc': ('body', 'messages')}", "messages", 400, "Bad Request")


def check_length(prompt_tokens: int, max_model_len: int) -> None:
    """A prompt needs room for one more token."""
    if prompt_tokens >= max_model_len:
        raise Refused(
            f"This model's maximum context length is {max_model_len} tokens. However, your prompt contains at least "
            f"{prompt_tokens} input tokens, which exceeds this limit even without any output tokens. Please reduce "
            f"the length of the input prompt. (parameter=input_tokens, value={prompt_tokens})",
            "input_tokens",
        )


def stop_strings(body: Mapping[str, Any]) -> tuple[str, ...]:
    """``stop`` as a tuple."""
    stop = body.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)

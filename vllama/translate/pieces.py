"""What an answer is made of between the engine's dialect and the clients' dialects. Pure.

``translate.engine.stream`` turns vLLM's chunks into these; the writers (Ollama NDJSON, OpenAI SSE, Anthropic SSE,
Responses SSE) turn these into bytes. An answer is any number of ``Piece`` and then exactly one ``Ending``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vllama.translate.options import DEFAULTS, Options

DoneReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One whole call; never partial."""

    id: str
    index: int
    name: str
    arguments: Mapping[str, Any]


@dataclass(slots=True)
class Piece:
    """A step of an answer. ``thinking`` and ``content`` never both, save at the boundary."""

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: list[dict[str, Any]] | None = None
    """Ollama's entries: ``{"token","logprob","bytes","top_logprobs"?}``."""


@dataclass(slots=True)
class Ending:
    """How the answer ended and what it took."""

    reason: DoneReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Thinking included."""
    cached_tokens: int | None = None
    """Of the prompt's, those that the engine found in its prefix cache; None: it doesn't say."""
    queue_ns: int = 0
    prefill_ns: int = 0
    decode_ns: int = 0
    load_ns: int = 0
    """From the request's head until the model was ready."""
    total_ns: int = 0
    """From the request's head to the end of the answer."""
    stop_text: str = ""
    """The stop string that matched, when one did."""
    token_ids: tuple[int, ...] = field(default=())
    """Prompt + answer ids (generate's ``context``), when asked for."""


Step: TypeAlias = Piece | Ending


@dataclass(frozen=True, slots=True)
class Timing:
    """Nanoseconds, all above zero."""

    total: int
    load: int
    prompt: int
    answer: int


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, as Ollama sees it."""

    role: str
    content: str = ""
    thinking: str = ""
    images: tuple[str, ...] = ()
    """Standard base64, no data-URI prefix."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A conversation to be continued, the same for every dialect of clients."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    """OpenAI function definitions, passed through whole."""
    enforced_tools: tuple[Mapping[str, Any], ...] | None = None
    """The same with the parameters that a grammar can hold, where those differ; the model is shown ``tools``."""
    tool_choice: Any = None
    think: bool | str | None = None
    """None = the model's default (on where it can); a string is an effort level."""
    format: str | Mapping[str, Any] | None = None
    """``"json"``, a JSON schema (a client's, or what ``translate.schemas.grammars`` made of it), or None."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Ollama's options, raw from the client."""
    checked: Options = DEFAULTS
    """The same over those of the model, checked (``http.checks``)."""
    logprobs: bool = False
    top_logprobs: int = 0
    truncate: bool = True
    shift: bool = True
    want_token_ids: bool = False
    context: tuple[int, ...] = ()
    """Token ids of an earlier answer (generate's ``context``), put before the rendered conversation."""
    engine_fields: Mapping[str, Any] = field(default_factory=dict)
    """Sampling fields of vLLM's own that no option of Ollama's means, handed on unread."""
    template_fields: Mapping[str, Any] = field(default_factory=dict)
    """Values for names that the chat template reads (``chat_template_kwargs``)."""
    foreign_template: bool = False
    """The template that renders it came with the request."""
    one_pass: bool = False
    """Thinking and an answer with ``format`` come from one request of the engine, as generate does it; a chat takes
    two."""


@dataclass(frozen=True, slots=True)
class Tags:
    """How a model with a Go template marks the parts of its answer; vLLM's parsers don't know."""

    thinking: tuple[str, str] | None = None
    """What opens and closes its thinking."""
    inside: bool = False
    """The prompt ends with the opening tag, so that the answer begins with thinking."""
    tools: tuple[str, ...] = ()
    """Names that may be called; none: text that looks like a call is text."""
    mark: str = "{"
    """What stands before a call; ``{`` or ``[``: nothing but the call itself."""


@dataclass(frozen=True, slots=True)
class TextCall:
    """A rendered text to be continued as it is (generate with raw, template, suffix or context)."""

    prompt: str | tuple[int, ...]
    format: str | Mapping[str, Any] | None = None
    checked: Options = DEFAULTS
    logprobs: bool = False
    top_logprobs: int = 0
    truncate: bool = True
    shift: bool = True
    want_token_ids: bool = False
    engine_fields: Mapping[str, Any] = field(default_factory=dict)
    split_thinking: bool = False
    """The text may hold ``<think>`` tags that belong into ``thinking``; vLLM's parsers don't look here."""
    tags: Tags | None = None
    """The answer is taken apart by these (a model with a Go template)."""

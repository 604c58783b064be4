"""The requests of Ollama's own API. Pure."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from vllama.durations import read_go_duration
from vllama.quoting import excerpt
from vllama.translate.decoding import EMPTY, Body, Integer, Items, Object, Texts, elements, refuse
from vllama.translate.extent import MAX_VALUES
from vllama.translate.images import Image
from vllama.translate.pieces import Message, ToolCall
from vllama.translate.tools import Tools

FOREVER: Final = math.inf
_LONGEST: Final = (2**63 - 1) / 1e9  # seconds: Go counts nanoseconds in 64 bits
_EFFORTS: Final = ("high", "medium", "low", "max")
_CHOICES: Final = '"high", "medium", "low", "max", true, or false'
_GO_TYPES: Final = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}


def _keep_alive(value: Any) -> float | None:
    """A text or a number of seconds; negative is for ever."""
    if value is None:
        return None
    if isinstance(value, str):
        seconds = read_go_duration(value)
        if seconds is None or abs(seconds) > _LONGEST:
            refuse(f'keep_alive: invalid duration "{excerpt(value)}": write "10m" or "1h30m", or a number of seconds')
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        refuse(f"Unsupported type: '{_GO_TYPES[type(value)]}'")
    if seconds < 0 or seconds > _LONGEST:
        return FOREVER
    return math.trunc(seconds * 1e9) / 1e9  # less than a nanosecond is 0, and that unloads


def _think(value: Any) -> bool | str | None:
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str):
        refuse(f"think must be a boolean or string ({_CHOICES})")
    if value not in _EFFORTS:
        refuse(f'invalid think value: "{excerpt(value)}" (must be {_CHOICES})')
    return value


KeepAlive = Annotated[Any, BeforeValidator(_keep_alive)]
Think = Annotated[Any, BeforeValidator(_think)]
Tokens = Annotated[tuple[Integer, ...], BeforeValidator(partial(elements, most=MAX_VALUES))]


class _Called(Body):
    index: Integer = 0
    name: str = ""
    arguments: Object = EMPTY


class _Call(Body):
    id: str = ""
    function: _Called = _Called()


class Turn(Body):
    """One message of a conversation."""

    role: str = ""
    content: str = ""
    thinking: str = ""
    images: Items[Image] = ()
    tool_calls: Items[_Call] = ()
    tool_name: str = ""
    tool_call_id: str = ""

    def message(self) -> Message:
        """The turn as all dialects know it."""
        return Message(
            role=self.role.lower(),
            content=self.content,
            thinking=self.thinking,
            images=tuple(filter(None, self.images)),
            tool_calls=tuple(
                ToolCall(call.id, call.function.index, call.function.name, call.function.arguments)
                for call in self.tool_calls
            ),
            tool_name=self.tool_name,
            tool_call_id=self.tool_call_id,
        )


class Asking(Body):
    """What chat and generate have in common."""

    model: str = ""
    stream: bool = True
    format: Any = None
    keep_alive: KeepAlive = None
    """Seconds, FOREVER, or None when it isn't given."""
    options: Object = EMPTY
    think: Think = None
    truncate: bool = True
    shift: bool = True
    render_only: bool = Field(default=False, alias="_debug_render_only")
    logprobs: bool = False
    top_logprobs: Integer = 0


class ChatRequest(Asking):
    """``POST /api/chat``."""

    messages: Items[Turn] = ()
    tools: Tools = ()

    def turns(self) -> tuple[Message, ...]:
        """The conversation."""
        return tuple(turn.message() for turn in self.messages)


class GenerateRequest(Asking):
    """``POST /api/generate``."""

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    template: str = ""
    context: Tokens = ()
    raw: bool = False
    images: Items[Image] = ()


class EmbedRequest(Body):
    """``POST /api/embed``."""

    model: str = ""
    input: Any = None
    keep_alive: KeepAlive = None
    truncate: bool = True
    dimensions: Integer = 0
    options: Object = EMPTY


class EmbeddingRequest(Body):
    """``POST /api/embeddings``."""

    model: str = ""
    prompt: str = ""
    keep_alive: KeepAlive = None
    options: Object = EMPTY


class NamedRequest(Body):
    """A request about one model; older clients call the field ``name``."""

    model: str = ""
    name: str = ""

    @property
    def typed(self) -> str:
        """The model's name as the client wrote it."""
        return self.model or self.name


class ShowRequest(NamedRequest):
    """``POST /api/show``."""

    system: str = ""
    template: str = ""
    verbose: bool = False
    options: Object = EMPTY


class TransferRequest(NamedRequest):
    """``POST /api/pull`` and ``/api/push``."""

    insecure: bool = False
    username: str = ""
    password: str = ""
    stream: bool = True


class DeleteRequest(NamedRequest):
    """``DELETE /api/delete``."""


class CopyRequest(Body):
    """``POST /api/copy``."""

    source: str = ""
    destination: str = ""


class CreateRequest(NamedRequest):
    """``POST /api/create``."""

    stream: bool = True
    quantize: str = ""
    base: str = Field("", alias="from")
    remote_host: str = ""
    files: Texts | None = None
    adapters: Texts = EMPTY
    draft_files: Texts = EMPTY
    draft_quantize: str = ""
    template: str = ""
    license: Any = None
    system: str = ""
    parameters: Object = EMPTY
    messages: Items[Turn] = ()
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    info: Object = EMPTY
    quantization: str = ""

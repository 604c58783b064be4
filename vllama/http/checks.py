"""Checks a call to a model in the order in which Ollama does; the requests of every API pass here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import orjson

from vllama.errors import BadRequest, VllamaError
from vllama.http.front import Front
from vllama.http.lookup import find_model
from vllama.models.model import Model
from vllama.quoting import excerpt
from vllama.translate.options import read_options
from vllama.translate.pictures import pictures_of_users
from vllama.translate.pieces import ChatCall


class FormatError(VllamaError):
    """``format`` is neither "json" nor a schema; Ollama finds that when generation starts, hence 500.

    ``streamed``: the request asked for a stream, whose generator reports its errors under another media type.
    """

    code = "bad_format"
    status = 500

    def __init__(self, raw: str, *, streamed: bool = False) -> None:
        quoted = orjson.dumps(excerpt(raw)).decode()
        super().__init__(f'invalid format: {quoted}; expected "json" or a valid JSON Schema object')
        self.streamed = streamed


def check_top_logprobs(wanted: int) -> None:
    """Before the model's name is looked at."""
    if not 0 <= wanted <= 20:
        raise BadRequest("top_logprobs must be between 0 and 20")


def check_thinking(typed: str, model: Model, think: object) -> None:
    """A model that can't think takes nothing but false. ``typed``: the model's name as the client wrote it."""
    if think and "thinking" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(typed)}" does not support thinking')


def check_generates(typed: str, model: Model, *, suffix: bool) -> None:
    """Can it continue a prompt, and fill a gap where the request has a suffix?"""
    if "completion" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(typed)}" does not support generate')
    if suffix and "insert" not in model.facts.capabilities:
        raise BadRequest(f"{model.name.full} does not support insert")


def check_chats(typed: str, model: Model, *, tools: bool) -> None:
    """Can it continue a conversation, and call tools where the request has some?"""
    if "completion" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(typed)}" does not support chat')
    if tools and "tools" not in model.facts.capabilities:
        raise BadRequest(f"{model.name.full} does not support tools")


def check_images(typed: str, model: Model, images: int) -> None:
    """An honest refusal where Ollama leaves it to the backend."""
    if images and "vision" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(typed)}" does not support vision')


def checked_chat(front: Front, typed: str, call: ChatCall) -> tuple[Model, ChatCall]:
    """The model of a conversation, and the conversation with its options checked; raises what is wrong with them."""
    check_top_logprobs(call.top_logprobs)
    if not typed:
        raise BadRequest("model is required")
    model = find_model(front, typed)
    check_thinking(typed, model, call.think)
    check_chats(typed, model, tools=bool(call.tools))
    call = replace(call, checked=read_options(call.options, model.parameters))
    check_images(typed, model, pictures_of_users(call.messages))
    _check_format(call.format)
    return model, call


def _check_format(wanted: object) -> None:
    if wanted is None or isinstance(wanted, (Mapping, bool)):  # true and false are schemas
        return
    if isinstance(wanted, (str, list)) and wanted in ("", "json", []):  # PHP writes an empty object as []
        return
    raise FormatError(orjson.dumps(wanted).decode())

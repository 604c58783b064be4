"""Gets the tokens of a conversation from the engine, and finds out whether a chat template refuses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from vllama.answering.desk import Desk
from vllama.answering.leasing import answered
from vllama.answering.rendering import to_tokenize
from vllama.errors import EngineRefused
from vllama.models.model import Model
from vllama.supervisor.port import Lease, Wish
from vllama.translate.conversation.template_shapes import STRICTEST, TemplateShapes
from vllama.translate.engine.faults import refusal, refused_by_template
from vllama.translate.engine.requests import conversation, for_model, rendered_fields
from vllama.translate.pieces import ChatCall, Message

_TOKENIZE: Final = "/tokenize"
_SECONDS: Final = 60.0


async def tokens(lease: Lease, prompt: Mapping[str, Any]) -> list[int]:
    """Of what ``/tokenize`` understands; raises EngineRefused."""
    body = {"model": lease.served_name, **prompt}
    found: list[int] = orjson.loads(await lease.client.call(_TOKENIZE, body, timeout=_SECONDS))["tokens"]
    return found


async def conversation_tokens(
    lease: Lease,
    desk: Desk,
    model: Model,
    call: ChatCall,
    messages: Sequence[Message],
    *,
    shapes: TemplateShapes | None = None,
) -> list[int]:
    """Of ``messages`` inside the model's template, in a shape that it takes (``shapes``; None: those of the lease).

    In its plainest form where the template refuses it nevertheless. Raises BadRequest.
    """
    asked = await to_tokenize(desk, call, messages, model, shapes or lease.shapes)
    try:
        return await tokens(lease, asked)
    except EngineRefused as error:
        if "messages" not in asked or not _is_ours(error):
            raise refusal(error) from error
    plainest = await to_tokenize(desk, call, messages, model, STRICTEST)
    try:
        return await tokens(lease, plainest)
    except EngineRefused as error:
        raise refused_by_template(error) from error


async def count_tokens(desk: Desk, model: Model, call: ChatCall) -> int:
    """How many tokens the prompt of a conversation has; loads the model. Raises as ``leasing.answered``."""
    offering = for_model(call, model)

    async def ask(lease: Lease) -> int:
        return len(await conversation_tokens(lease, desk, model, offering, conversation(model, offering.messages)))

    return await answered(desk, Wish(model), ask)


async def template_refuses(lease: Lease, body: Mapping[str, Any]) -> bool:
    """Is it the template that refuses a chat request? Its own words don't say so, but then it won't render either."""
    try:
        await tokens(lease, rendered_fields(body))
    except EngineRefused as error:
        return _is_ours(error)
    return False


def _is_ours(error: EngineRefused) -> bool:
    """Whether the request is wrong, not the engine."""
    return 400 <= error.http_status < 500

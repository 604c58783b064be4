"""The rendered prompt, for people who debug a chat template (``_debug_render_only``)."""

from __future__ import annotations

from typing import Any

import orjson

from vllama.answering.desk import Desk
from vllama.answering.leasing import answered
from vllama.answering.prompt_tokens import conversation_tokens
from vllama.models.model import Model
from vllama.supervisor.port import Lease, Wish
from vllama.translate.engine.requests import conversation, for_model
from vllama.translate.ollama.replies import debug_info
from vllama.translate.pieces import ChatCall


async def rendered_prompt(desk: Desk, model: Model, call: ChatCall) -> dict[str, Any]:
    """The prompt as the chat template renders it, and the number of its images."""
    offering = for_model(call, model)

    async def ask(lease: Lease) -> str:
        tokens = await conversation_tokens(lease, desk, model, offering, conversation(model, offering.messages))
        body = {"model": lease.served_name, "tokens": tokens}
        text: str = orjson.loads(await lease.client.call("/detokenize", body))["prompt"]
        return text

    text = await answered(desk, Wish(model), ask)
    return debug_info(text, sum(len(message.images) for message in call.messages))

"""Renders prompts with Go templates: on the event loop if that is quick, else in another process.

A model's own template and a short conversation are tried on the loop, within 10,000 steps and a million characters:
that is 10 to 20 ms at most; ordinary ones take less than one. What needs more, and every template that came with a
request, is rendered in a process that is ended when it takes too long (``aside``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vllama.answering.desk import Desk
from vllama.answering.today import today
from vllama.models.model import Model
from vllama.templates import BudgetSpent
from vllama.translate.conversation.template_shapes import TemplateShapes
from vllama.translate.pieces import ChatCall, Message, Tags
from vllama.translate.prompts import prompting

_LIGHT_INSERT = 1 << 16
"""Characters around the gap."""


async def render(desk: Desk, call: ChatCall, messages: Sequence[Message], model: Model) -> tuple[str, Tags] | None:
    """The prompt and how its answer is taken apart; None: vLLM renders. Raises TemplateError, TookTooLong, Busy."""
    if not prompting.renders(messages, model):
        return None
    if prompting.is_light(call, messages, model):
        try:
            return prompting.rendered(call, messages, model, today(), prompting.light_budget())
        except BudgetSpent:
            pass  # more than it looked like
    return await desk.run_aside(prompting.rendered, call, tuple(messages), model, today())


async def to_tokenize(
    desk: Desk, call: ChatCall, messages: Sequence[Message], model: Model, shapes: TemplateShapes
) -> dict[str, Any]:
    """The fields of vLLM's ``/tokenize`` for a conversation; raises as ``render``."""
    return prompting.to_tokenize(await render(desk, call, messages, model), call, messages, model, shapes)


async def insert_prompt(desk: Desk, model: Model, prompt: str, suffix: str, *, foreign: bool) -> str:
    """The prompt for what belongs between; raises as ``render``, and BadRequest. ``foreign``: by the request's own."""
    if not foreign and len(prompt) + len(suffix) <= _LIGHT_INSERT:
        try:
            return prompting.insert_prompt(model, prompt, suffix, today(), prompting.light_budget())
        except BudgetSpent:
            pass
    return await desk.run_aside(prompting.insert_prompt, model, prompt, suffix, today())


async def check_template(desk: Desk, text: str) -> None:
    """Raises TemplateError for what is no template, TookTooLong, Busy."""
    await desk.run_aside(prompting.check_template, text)

"""Which models' prompts are rendered here by a Go template, and how. Pure.

For all others vLLM applies the chat template that came with the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from vllama.models.fim import fill_in_the_middle
from vllama.models.model import Model
from vllama.templates import Budget
from vllama.templates.limits import LIGHT_CHARACTERS, LIGHT_STEPS, REQUEST_CHARACTERS
from vllama.templates.model_template import DEFAULT_TEMPLATE, ModelTemplate, read_template
from vllama.templates.parser import REMEMBERED_LENGTH
from vllama.translate.conversation.history import text_bytes
from vllama.translate.conversation.template_shapes import NATURAL, TemplateShapes
from vllama.translate.efforts import OLLAMA_EFFORTS, nearest
from vllama.translate.engine.requests import chat_prompt, text_prompt, thinks
from vllama.translate.pieces import ChatCall, Message, Tags
from vllama.translate.prompts.rendering import (
    Thinking,
    render_chat,
    render_insert,
    tags_of,
    without_old_thinking,
)

_LIGHT_MESSAGES: Final = 100
_LIGHT_TOOLS: Final = 32
_LIGHT_BYTES: Final = 1 << 16
_USUAL_TAGS: Final = ("<think>", "</think>")
_THINK_TAGS: Final = frozenset({"deepseek_r1", "qwen3"})
"""Parsers of models that write their thoughts between these tags, as their chat templates show."""


def template_of(model: Model) -> ModelTemplate | None:
    """The model's Go template, or Ollama's default for one without any; None: vLLM renders.

    Raises TemplateError.
    """
    if model.template:
        return read_template(model.template)
    return read_template(DEFAULT_TEMPLATE) if _has_none(model) else None


def _has_none(model: Model) -> bool:
    """Neither a template of its own nor one that came with its files."""
    facts = model.facts
    return facts.chat_template is None and facts.tool_parser is None and facts.reasoning_parser is None


def renders(messages: Sequence[Message], model: Model) -> bool:
    """Is the prompt rendered here? Not where pictures are to be placed."""
    return (bool(model.template) or _has_none(model)) and not any(message.images for message in messages)


def is_light(call: ChatCall, messages: Sequence[Message], model: Model) -> bool:
    """Is this so little, by a template that did not come with the request, that it can be tried on the event loop?

    What the template then makes of it is bounded by a budget.
    """
    little = len(messages) <= _LIGHT_MESSAGES and len(call.tools) <= _LIGHT_TOOLS
    return (
        little
        and not call.foreign_template
        and len(model.template) <= REMEMBERED_LENGTH
        and text_bytes(messages, call.tools) <= _LIGHT_BYTES
    )


def light_budget() -> Budget:
    """What may be done on the event loop."""
    return Budget(steps=LIGHT_STEPS, characters=LIGHT_CHARACTERS)


def rendered(
    call: ChatCall, messages: Sequence[Message], model: Model, today: date, budget: Budget | None = None
) -> tuple[str, Tags] | None:
    """The prompt and how its answer is taken apart; None: vLLM renders.

    ``messages`` with the model's stored turns. Raises TemplateError.
    """
    template = template_of(model)
    if template is None or not renders(messages, model):
        return None
    if budget is None and call.foreign_template:
        budget = Budget(characters=REQUEST_CHARACTERS)
    on = thinks(call, model)
    think = on if call.think is None and "thinking" in model.facts.capabilities else call.think
    if isinstance(think, str):
        think = nearest(think, OLLAMA_EFFORTS)
    if _keeps_thinking_in_content(model):
        messages = without_old_thinking(messages)
    text = render_chat(template, messages, tools=call.tools, thinking=Thinking.asked(think), today=today, budget=budget)
    tags = (template.thinking or _USUAL_TAGS) if on else None
    return text, tags_of(template, text, thinking=tags, tools=call.tools)


def to_tokenize(
    found: tuple[str, Tags] | None,
    call: ChatCall,
    messages: Sequence[Message],
    model: Model,
    shapes: TemplateShapes = NATURAL,
) -> dict[str, Any]:
    """The fields of vLLM's ``/tokenize`` for a conversation; ``found``: what ``rendered`` makes of it."""
    return chat_prompt(call, messages, model, shapes) if found is None else text_prompt(found[0])


def check_template(text: str) -> None:
    """Raises TemplateError for a Go template that can't be read."""
    read_template(text)


def insert_prompt(model: Model, prompt: str, suffix: str, today: date, budget: Budget | None = None) -> str:
    """The prompt for what belongs between: by the model's template when it says how, else by its family's tokens.

    Raises TemplateError, BadRequest.
    """
    template = template_of(model)
    if template is not None and "insert" in template.capabilities:
        return render_insert(template, prompt, suffix, today=today, budget=budget)
    return fill_in_the_middle(prompt, suffix, model.facts.special_tokens)


def _keeps_thinking_in_content(model: Model) -> bool:
    """Do its older templates leave thoughts in the text of answers? Such models write them between think tags."""
    return model.facts.family == "qwen3" or model.facts.reasoning_parser in _THINK_TAGS

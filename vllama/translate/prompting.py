"""Which models' prompts are rendered here by a Go template, and how. Pure.

For all others vLLM applies the chat template that came with the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from vllama.models.model import Facts, Model
from vllama.translate.fim import fill_in_the_middle
from vllama.translate.ollama_template import (
    DEFAULT_TEMPLATE,
    ModelTemplate,
    Thinking,
    read_template,
    render_chat,
    render_insert,
    tags_of,
    without_old_thinking,
)
from vllama.translate.pieces import ChatCall, Message, Tags
from vllama.translate.requests import chat_prompt, text_prompt, thinks

_USUAL_TAGS: Final = ("<think>", "</think>")


def template_of(model: Model) -> ModelTemplate | None:
    """The model's Go template, or Ollama's default for one without any; None: vLLM renders.

    Raises TemplateError.
    """
    if model.template:
        return read_template(model.template)
    facts = model.facts
    if facts.chat_template is None and facts.tool_parser is None and facts.reasoning_parser is None:
        return read_template(DEFAULT_TEMPLATE)
    return None


def rendered(call: ChatCall, messages: Sequence[Message], model: Model, today: date) -> tuple[str, Tags] | None:
    """The prompt and how its answer is taken apart; None: vLLM renders (also where pictures are to be placed).

    ``messages`` with the model's stored turns. Raises TemplateError.
    """
    template = template_of(model)
    if template is None or any(message.images for message in messages):
        return None
    on = thinks(call, model)
    think = on if call.think is None and "thinking" in model.facts.capabilities else call.think
    if _keeps_thinking_in_content(model):
        messages = without_old_thinking(messages)
    text = render_chat(template, messages, tools=call.tools, thinking=Thinking.asked(think), today=today)
    tags = (template.thinking or _USUAL_TAGS) if on else None
    return text, tags_of(template, text, thinking=tags, tools=call.tools)


def to_tokenize(call: ChatCall, messages: Sequence[Message], model: Model, today: date) -> dict[str, Any]:
    """The fields of vLLM's ``/tokenize`` for a conversation; raises TemplateError."""
    found = rendered(call, messages, model, today)
    return chat_prompt(call, messages, model) if found is None else text_prompt(found[0])


def insert_prompt(model: Model, prompt: str, suffix: str, today: date) -> str:
    """The prompt for what belongs between: by the model's template when it says how, else by its family's tokens.

    Raises TemplateError, BadRequest.
    """
    template = template_of(model)
    if template is not None and "insert" in template.capabilities:
        return render_insert(template, prompt, suffix, today=today)
    return fill_in_the_middle(prompt, suffix, model.facts.special_tokens)


def with_template(facts: Facts, template: str) -> Facts:
    """What the model can do with a template of its own: that decides on tools and thinking; raises TemplateError.

    Fill-in-the-middle needs no template where the tokenizer has the tokens.
    """
    if not template:
        return facts
    kept = [name for name in facts.capabilities if name not in {"tools", "thinking"}]
    can = sorted(read_template(template).capabilities)
    return replace(facts, capabilities=tuple(dict.fromkeys([*kept, *can])))


def _keeps_thinking_in_content(model: Model) -> bool:
    return model.facts.family == "qwen3" or model.name.model == "deepseek-r1"

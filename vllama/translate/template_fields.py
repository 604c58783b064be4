"""``chat_template_kwargs``: values for the names that a model's chat template reads. Pure.

vLLM's users send them to switch thinking or what else a template knows. A name that the template does not read is
ignored, and so are those that are not the client's to give.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from vllama.models.model import Model
from vllama.translate.efforts import EFFORTS
from vllama.translate.pieces import ChatCall

_TAG: Final = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_SWITCHES: Final = ("enable_thinking", "thinking")
_LEVEL: Final = "reasoning_effort"
# the conversation itself, and what transformers takes besides a template's names
_NOT_THE_CLIENTS: Final = frozenset(
    {
        *("messages", "conversation", "tools", "chat_template", "tokenize", "add_generation_prompt"),
        *("continue_final_message", "padding", "truncation", "max_length", "return_tensors", "return_dict"),
        *("return_assistant_tokens_mask", "tokenizer_kwargs", "self", "range", "dict", "lipsum", "cycler", "joiner"),
        *("namespace", "raise_exception", "strftime_now", "bos_token", "eos_token"),
    }
)


def read_template_fields(given: Any) -> Mapping[str, Any]:
    """The field of a request; what is no object is ignored."""
    return given if isinstance(given, Mapping) else {}


def for_template(call: ChatCall, model: Model) -> ChatCall:
    """The call with those fields alone that the model's template reads; what they say of thinking is its ``think``."""
    if not call.template_fields:
        return call
    names = _names(model.facts.chat_template or "") - _NOT_THE_CLIENTS
    fields = {name: value for name, value in call.template_fields.items() if name in names}
    think = call.think
    if "thinking" in model.facts.capabilities:
        wish = _wish(call.template_fields)
        think = wish if think is None else think
        fields = {name: value for name, value in fields.items() if name not in (*_SWITCHES, _LEVEL)}
    return replace(call, think=think, template_fields=fields)


def _wish(fields: Mapping[str, Any]) -> bool | str | None:
    switch = next((fields[name] for name in _SWITCHES if isinstance(fields.get(name), bool)), None)
    level = fields.get(_LEVEL)
    return level if switch is not False and isinstance(level, str) and level in EFFORTS else switch


@lru_cache(maxsize=64)
def _names(template: str) -> frozenset[str]:
    """Every name between the tags of a Jinja template, more than it reads: vLLM knows which are variables."""
    return frozenset(name for tag in _TAG.findall(template) for name in _NAME.findall(tag))

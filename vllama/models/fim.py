"""Fill-in-the-middle prompts: vLLM renders none, so the family's own marker tokens are put in here. Pure.

A family is known by the tokens of its tokenizer, never by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vllama.errors import BadRequest

_FORMS: Final = (
    # Qwen-Coder, CodeGemma, Granite 4
    "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
    # StarCoder, StableCode, Granite Code
    "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>",
    # SantaCoder
    "<fim-prefix>{prefix}<fim-suffix>{suffix}<fim-middle>",
    # DeepSeek-Coder, DeepSeek-V3
    "<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>",
    # Code Llama: its tokens begin with the blank that stands before them in other spellings
    "▁<PRE> {prefix}▁<SUF>{suffix}▁<MID>",
    "<PRE> {prefix} <SUF>{suffix} <MID>",
    # Codestral
    "[SUFFIX]{suffix}[PREFIX]{prefix}",
    # Seed-Coder
    "<[fim-suffix]>{suffix}<[fim-prefix]>{prefix}<[fim-middle]>",
    # CodeGeeX, GLM
    "<|code_prefix|>{prefix}<|code_suffix|>{suffix}<|code_middle|>",
)
_MARKS: Final = {form: form.replace("{prefix}", "\n").replace("{suffix}", "\n").split("\n") for form in _FORMS}


def fill_in_the_middle(prefix: str, suffix: str, special_tokens: Mapping[str, int]) -> str:
    """The prompt that makes the model write what stands between; raises BadRequest when it has no such tokens."""
    form = _form(special_tokens)
    if form is None:
        raise BadRequest("this model can't insert text: its tokenizer has no fill-in-the-middle tokens")
    return form.format(prefix=prefix, suffix=suffix)


def can_fill_in(special_tokens: Mapping[str, int]) -> bool:
    """Has the tokenizer all tokens of a family's form?"""
    return _form(special_tokens) is not None


def _form(special_tokens: Mapping[str, int]) -> str | None:
    for form, marks in _MARKS.items():
        if all(mark.strip() in special_tokens for mark in marks if mark.strip()):
            return form
    return None

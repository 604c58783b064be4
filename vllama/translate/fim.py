"""Fill-in-the-middle prompts: vLLM renders none, so the family's own marker tokens are put in here. Pure.

A family is known by the tokens of its tokenizer, never by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vllama.errors import BadRequest

# the tokens a family must have, and its form
_FORMS: Final = (
    ("<|fim_prefix|>", "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"),
    ("<fim_prefix>", "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>"),
    ("<fim-prefix>", "<fim-prefix>{prefix}<fim-suffix>{suffix}<fim-middle>"),
    ("<｜fim▁begin｜>", "<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>"),
    ("[SUFFIX]", "[SUFFIX]{suffix}[PREFIX]{prefix}"),
    ("<PRE>", "<PRE> {prefix} <SUF>{suffix} <MID>"),
    ("▁<PRE>", "▁<PRE> {prefix} ▁<SUF>{suffix} ▁<MID>"),
)


def fill_in_the_middle(prefix: str, suffix: str, special_tokens: Mapping[str, int]) -> str:
    """The prompt that makes the model write what stands between; raises BadRequest when it has no such tokens."""
    for marker, form in _FORMS:
        if marker in special_tokens:
            return form.replace("{suffix}", "\0").replace("{prefix}", prefix).replace("\0", suffix)
    raise BadRequest("this model has no tokens for text to be filled in")


def can_fill_in(special_tokens: Mapping[str, int]) -> bool:
    """Has the tokenizer a family's fill-in-the-middle tokens?"""
    return any(marker in special_tokens for marker, _ in _FORMS)

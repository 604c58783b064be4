"""The second of two passes: the answer in its form, with the model's finished thoughts in the prompt."""

from __future__ import annotations

from dataclasses import replace

from vllama.answering.prepared import Prepared, Preparing
from vllama.answering.prompt_tokens import tokens
from vllama.translate.engine.thinking import closed_thinking, ends_inside
from vllama.translate.pieces import ChatCall


async def prefilled(preparing: Preparing, call: ChatCall, thoughts: str) -> tuple[Prepared | None, int, int]:
    """The request, and the number of tokens of the conversation and of the thoughts.

    No request when the context has no room for an answer.
    """
    prompt = await preparing.tokens(call, call.messages)
    inside = ends_inside(prompt, preparing.model.facts.special_tokens)
    rest = {"prompt": closed_thinking(thoughts, inside=inside), "add_special_tokens": False}
    closed = await tokens(preparing.lease, rest)
    answer = None
    if len(prompt) + len(closed) < preparing.context:
        text_call = replace(preparing.as_text(call, (*prompt, *closed)), split_thinking=False)
        answer = preparing.text(text_call)
    return answer, len(prompt), len(closed)

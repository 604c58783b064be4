"""A chat whose answer has a form, on a model that thinks: first it thinks freely, then it answers in that form.

The engine could do both in one request, but would force the answer's first character right behind the closing tag,
where models have learnt to write line breaks. So the first request has no form, and it is ended as soon
as the answer begins; the second one continues the closed thinking (``prefilling``). Ollama does the same. Calls of
tools end the first request as in any chat.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from vllama.models.model import Model
from vllama.translate.engine.requests import thinks
from vllama.translate.engine.thinking import CLOSE, OPEN
from vllama.translate.pieces import ChatCall, Ending, Message, Step


@dataclass(frozen=True, slots=True)
class Second:
    """The request that is answered in the wanted form."""

    steps: AsyncIterator[list[Step]]
    prompt_tokens: int
    """Of the conversation alone: what follows them are the thoughts."""


AskAgain = Callable[[str], Awaitable[Second]]
"""Ends the first request and continues these thoughts."""


def takes_two(call: ChatCall, messages: Sequence[Message], model: Model) -> bool:
    """Is an answer in a form wanted after thinking, which the model marks by the usual tags?"""
    if call.one_pass or call.format is None or not thinks(call, model):
        return False
    usual = OPEN in model.facts.special_tokens and CLOSE in model.facts.special_tokens
    return usual and not any(message.images for message in messages)  # pictures have no tokens to go on with


async def think_then_answer(steps: AsyncIterator[list[Step]], ask_again: AskAgain) -> AsyncIterator[list[Step]]:
    """The steps of both requests as those of one answer, counted as one."""
    thoughts: list[str] = []
    began = time.perf_counter()
    calling = False
    async for batch in steps:
        shown: list[Step] = []
        for step in batch:
            if isinstance(step, Ending):
                yield [*shown, step]
                return
            calling = calling or bool(step.tool_calls)
            if step.content and not calling:
                break
            thoughts.append(step.thinking)
            shown.append(step)
        else:
            if shown:
                yield shown
            continue
        if shown:
            yield shown
        break
    else:
        return
    spent = time.perf_counter() - began
    second = await ask_again("".join(thoughts))
    async for batch in second.steps:
        last = batch[-1]
        yield [*batch[:-1], _counted(last, second.prompt_tokens, spent)] if isinstance(last, Ending) else batch


def _counted(final: Ending, prompt_tokens: int, seconds: float) -> Ending:
    """What the thoughts needed belongs to the answer, not to the prompt."""
    thought = final.prompt_tokens - prompt_tokens
    return replace(
        final,
        prompt_tokens=prompt_tokens,
        cached_tokens=None,  # the second request found in the cache what the first one had computed
        completion_tokens=final.completion_tokens + thought,
        decode_ns=final.decode_ns + round(seconds * 1e9),
    )

"""The chunks of streamed chats are written without pydantic (see ``plain_chunks``)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .changing import Unfit, digest
from .plain_chunks import Choice, chunk_of

MODULE = "vllm.entrypoints.openai.chat_completion.serving"
GENERATOR = "413759ad163362db"
"""Of the generator that makes the chunks: what it does with them was read there."""
_ORDER = ("role", "content", "reasoning")
_TEXTS = frozenset(_ORDER)
"""The fields of a delta that are texts, in the model's order."""


class Delta:
    """Stands for a delta of text alone."""

    __slots__ = ("content",)

    reasoning = None
    tool_calls = ()

    def __init__(self, content: str) -> None:
        self.content = content


def apply(module: ModuleType) -> None:
    """Change the module whose generator is the one that we know."""
    if digest(module.OpenAIServingChat.chat_completion_stream_generator) != GENERATOR:
        raise Unfit("this vLLM streams chats in another way")
    change(module)


def change(module: Any) -> None:
    """Put what stands for the models in the place of their names."""
    delta_model, choice_model = module.DeltaMessage, module.ChatCompletionResponseStreamChoice
    chunk_model = module.ChatCompletionStreamResponse

    def delta(**fields: Any) -> Any:
        return Delta(fields["content"]) if len(fields) == 1 and "content" in fields else delta_model(**fields)

    def choice(**fields: Any) -> Any:
        found = fields["delta"]
        if type(found) is Delta:
            fields["delta"] = {"content": found.content}
        elif type(found) is delta_model and not found.model_extra and _TEXTS.issuperset(found.model_fields_set):
            fields["delta"] = {name: getattr(found, name) for name in _ORDER if name in found.model_fields_set}
        else:
            return choice_model(**fields)
        return Choice(fields) if fields["logprobs"] is None else choice_model(**fields)

    def chunk(**fields: Any) -> Any:
        return chunk_of(chunk_model, fields)

    module.__dict__.update(
        DeltaMessage=delta, ChatCompletionResponseStreamChoice=choice, ChatCompletionStreamResponse=chunk
    )

"""The chunks of streamed texts (``/v1/completions``) are written without pydantic (see ``plain_chunks``)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .changing import Unfit, digest
from .plain_chunks import Choice, chunk_of

MODULE = "vllm.entrypoints.openai.completion.serving"
GENERATOR = "3f590ecb8478e275"
"""Of the generator that makes the chunks: what it does with them was read there."""


def apply(module: ModuleType) -> None:
    """Change the module whose generator is the one that we know."""
    if digest(module.OpenAIServingCompletion.completion_stream_generator) != GENERATOR:
        raise Unfit("this vLLM streams texts in another way")
    change(module)


def change(module: Any) -> None:
    """Put what stands for the models in the place of their names."""
    choice_model, chunk_model = module.CompletionResponseStreamChoice, module.CompletionStreamResponse

    def choice(**fields: Any) -> Any:
        return Choice(fields) if fields["logprobs"] is None else choice_model(**fields)

    def chunk(**fields: Any) -> Any:
        return chunk_of(chunk_model, fields)

    module.__dict__.update(CompletionResponseStreamChoice=choice, CompletionStreamResponse=chunk)

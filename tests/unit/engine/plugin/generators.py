"""Generators of another vLLM than the one that our changes were written for."""

from __future__ import annotations


class OpenAIServingChat:
    """Has one, and never runs it."""

    async def chat_completion_stream_generator(self) -> None:
        """Nothing."""


class OpenAIServingCompletion:
    """Has one, and never runs it."""

    async def completion_stream_generator(self) -> None:
        """Nothing."""

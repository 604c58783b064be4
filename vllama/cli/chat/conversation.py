"""What was said so far and with which settings, as the body of the next request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ThinkSetting = bool | str | None


@dataclass(slots=True)
class ChatSettings:
    """What the flags of ``vllama run`` and ``/set`` choose."""

    options: dict[str, Any] = field(default_factory=dict)
    think: ThinkSetting = None
    """None: the model's own default; a string is an effort level."""
    format: str | Mapping[str, Any] | None = None
    """``"json"``, a JSON schema, or None."""
    keep_alive: str = ""
    hide_thinking: bool = False
    verbose: bool = False
    word_wrap: bool = True

    def body(self, model: str) -> dict[str, Any]:
        """The fields that generate and chat have in common; what is not set is left out."""
        body: dict[str, Any] = {"model": model}
        if self.options:
            body["options"] = self.options
        if self.think is not None:
            body["think"] = self.think
        if self.format is not None:
            body["format"] = self.format
        if self.keep_alive:
            body["keep_alive"] = self.keep_alive
        return body


@dataclass(slots=True)
class Conversation:
    """One chat with one model."""

    model: str
    settings: ChatSettings
    system: str = ""
    """Replaces the model's own system prompt when not empty."""
    turns: list[dict[str, Any]] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """The request for the next answer."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {**self.settings.body(self.model), "messages": system + self.turns, "stream": True}

    def say(self, text: str) -> None:
        """The user's turn."""
        self.turns.append({"role": "user", "content": text})

    def heard(self, content: str, thinking: str) -> None:
        """The model's turn, whole or as far as it came.

        A turn without any text would confuse the model: then the question is taken back, too.
        """
        if content:
            turn = {"role": "assistant", "content": content}
            if thinking:
                turn["thinking"] = thinking
            self.turns.append(turn)
        elif self.turns and self.turns[-1]["role"] == "user":
            self.turns.pop()

    def forget(self) -> None:
        """Begin again with the same settings."""
        self.turns.clear()

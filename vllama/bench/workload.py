"""What is asked: the same work in the dialect of each target. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from vllama.bench.prompts import Prompts

Dialect = Literal["ollama", "openai"]
Route = Literal["chat", "generate"]

# Small and large models alike can count, so both sides write the same text, of the same length.
PROMPT = "Count to 50."

_PATHS: dict[tuple[Dialect, Route], str] = {
    ("ollama", "chat"): "/api/chat",
    ("ollama", "generate"): "/api/generate",
    ("openai", "chat"): "/v1/chat/completions",
    ("openai", "generate"): "/v1/completions",
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request: greedy and without thinking."""

    prompts: Prompts = field(default_factory=Prompts)
    prompt: str = ""
    """The same text in every request instead of ``prompts``."""
    max_tokens: int = 128
    fixed: bool = False
    """Make exactly ``max_tokens``, by vLLM's ``ignore_eos`` of OpenAI's API; Ollama's has no word for it."""
    route: Route = "chat"
    stream: bool = True

    def path(self, dialect: Dialect) -> str:
        """Where a request of this dialect goes."""
        return _PATHS[dialect, self.route]

    def body(self, dialect: Dialect, model: str, seed: str = "", number: int = 0, turned: int = 0) -> bytes:
        """Request ``number`` of the leg that ``seed`` names, as JSON; ``turned`` as in ``Prompts.text``."""
        text = self.prompt or self.prompts.text(seed, number, turned)
        return self.request(dialect, model, text, self.prompts.system_text())

    def request(self, dialect: Dialect, model: str, text: str, system: str = "") -> bytes:
        """A request with these texts, as JSON."""
        body: dict[str, Any] = {"model": model, "stream": self.stream}
        if self.route == "chat":
            turns = [{"role": "system", "content": system}] if system else []
            body["messages"] = [*turns, {"role": "user", "content": text}]
        elif dialect == "ollama":
            body |= {"prompt": text} | ({"system": system} if system else {})
        else:
            body["prompt"] = f"{system}\n\n{text}" if system else text
        if dialect == "ollama":
            body |= {"think": False, "options": {"temperature": 0, "num_predict": self.max_tokens}}
            return orjson.dumps(body)
        body |= {"temperature": 0, "max_tokens": self.max_tokens}
        if self.stream:
            body["stream_options"] = {"include_usage": True}
        if self.route == "chat":
            # Ollama's API and newer vLLMs listen to the first, older vLLMs to the second.
            body |= {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}}
        if self.fixed:
            body["ignore_eos"] = True
        return orjson.dumps(body)

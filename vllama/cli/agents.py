"""What each coding agent needs to use a model of vLLama: variables and arguments, no files. Pure.

docs/clients.md describes the same settings. All of an agent's tasks use one model, so its prompts stay in one prefix
cache.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_ANY: Final = "any"
"""Agents refuse to start without a key."""


@dataclass(frozen=True, slots=True)
class Use:
    """The model that an agent is to use, and where."""

    url: str
    """``http://127.0.0.1:11434``."""
    model: str
    key: str = ""
    """The API key; empty if the service needs none."""
    context: int | None = None
    """Tokens of the loaded engine; None if it is not loaded."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A program with its settings."""

    program: str
    install: str
    """The command that installs the program."""
    env: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    unset: tuple[str, ...] = field(default=())
    """Variables that would lead the program to another service."""

    def lines(self, *, secret: str = "") -> tuple[str, ...]:
        """For a shell. ``secret`` is not shown."""
        shown = [
            f"export {name}={'KEY' if secret and value == secret else shlex.quote(value)}"
            for name, value in self.env.items()
        ]
        return (*(f"unset {name}" for name in self.unset), *shown, shlex.join((self.program, *self.arguments)))


def _claude(use: Use) -> Setup:
    env = {
        "ANTHROPIC_BASE_URL": use.url,
        "ANTHROPIC_AUTH_TOKEN": use.key or _ANY,
        "ANTHROPIC_MODEL": use.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": use.model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return Setup("claude", "npm install -g @anthropic-ai/claude-code", env, unset=("ANTHROPIC_API_KEY",))


def _codex(use: Use) -> Setup:
    provider = {"name": "vLLama", "base_url": f"{use.url}/v1", "wire_api": "responses"}
    if use.key:
        provider["env_key"] = "VLLAMA_KEY"
    settings: dict[str, Any] = {"model": use.model, "model_provider": "vllama"}
    settings |= {f"model_providers.vllama.{name}": value for name, value in provider.items()}
    if use.context is not None:
        settings["model_context_window"] = use.context
    # a JSON string or number is one of TOML, too
    arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={json.dumps(value)}")]
    return Setup("codex", "npm install -g @openai/codex", {"VLLAMA_KEY": use.key} if use.key else {}, tuple(arguments))


def _opencode(use: Use) -> Setup:
    options = {"baseURL": f"{use.url}/v1", **({"apiKey": "{env:VLLAMA_KEY}"} if use.key else {})}
    limit = {"limit": {"context": use.context, "output": use.context // 4}} if use.context is not None else {}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "vLLama",
        "options": options,
        "models": {use.model: {"name": use.model, **limit}},
    }
    model = f"vllama/{use.model}"
    config = json.dumps({"model": model, "small_model": model, "provider": {"vllama": provider}})
    env = {"OPENCODE_CONFIG_CONTENT": config, **({"VLLAMA_KEY": use.key} if use.key else {})}
    return Setup("opencode", "npm install -g opencode-ai", env)


AGENTS: Final[Mapping[str, Callable[[Use], Setup]]] = {"claude": _claude, "codex": _codex, "opencode": _opencode}

"""A model for the tests of the translators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vllama.models.model import Facts, Model
from vllama.models.names import parse_name


def model(
    name: str = "tinychat", *, family: str = "qwen3", capabilities: tuple[str, ...] = ("completion",), **more: Any
) -> Model:
    """A small chat model (or an embedder, with ``task="embed"``)."""
    parsed = parse_name(name)
    assert parsed is not None
    known = {
        key: more.pop(key)
        for key in (
            "task",
            "details",
            "special_tokens",
            "stop_tokens",
            "chat_template",
            "tool_parser",
            "reasoning_parser",
        )
        if key in more
    }
    known.setdefault("chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}")
    facts = Facts(
        architecture="Qwen3ForCausalLM",
        family=family,
        task=known.pop("task", "generate"),
        parameter_count=1_855_840,
        weight_bytes=3_711_680,
        quantization="BF16",
        context_length=2048,
        embedding_length=160,
        capabilities=capabilities,
        **known,
    )
    return Model(
        name=parsed,
        path=Path("/models") / parsed.model,
        facts=facts,
        digest="ab" * 32,
        size=3_748_696,
        modified_at=1795263743.5,
        **more,
    )

"""Makes our changes in the engine's interpreter and prints, as JSON, which did not fit and what chunks look like.

``unfit``: names of changes. ``chunks``: pairs of the same chunk by vLLM's models and by what stands for them.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from importlib import import_module
from typing import Any

import vllama_engine
from vllm.entrypoints.generate.base.protocol import DeltaFunctionCall, DeltaMessage, DeltaToolCall, UsageInfo
from vllm.entrypoints.openai.chat_completion import protocol as chat
from vllm.entrypoints.openai.completion import protocol as text

TEXTS = ("plain", "", 'é\n\t"\\\x00\x1f\x7f\u2028😀/</b>')
ENDS: tuple[dict[str, Any], ...] = ({"finish_reason": None}, {"finish_reason": "stop", "stop_reason": 7})
IDS = (None, [], [1, 2])
LATER: tuple[dict[str, Any], ...] = ({}, {"system_fingerprint": "f"}, {"usage": UsageInfo(prompt_tokens=1)})


def deltas(said: str) -> list[DeltaMessage]:
    """What vLLM and its parsers send."""
    call = DeltaToolCall(index=0, function=DeltaFunctionCall(arguments=said))
    return [
        DeltaMessage(),
        DeltaMessage(content=said),
        DeltaMessage(role="assistant", content=said),
        DeltaMessage(reasoning=said),
        DeltaMessage(content=said, tool_calls=[]),
        DeltaMessage(tool_calls=[call]),
    ]


def written(kinds: Any, choice_of: str, chunk_of: str, fields: dict[str, Any], later: dict[str, Any]) -> str:
    """One chunk as a line of JSON, made as vLLM's generators make it."""
    choice = getattr(kinds, choice_of)(index=0, **fields)
    chunk = getattr(kinds, chunk_of)(id="i", object="chat.completion.chunk", created=1, choices=[choice], model="m")
    for name, value in later.items():
        setattr(chunk, name, value)
    return str(chunk.model_dump_json(exclude_unset=True))


def pairs() -> list[tuple[str, str]]:
    """Every chunk twice."""
    changed_chat = import_module("vllm.entrypoints.openai.chat_completion.serving")
    changed_text = import_module("vllm.entrypoints.openai.completion.serving")
    found = []
    for said, end, ids, later in itertools.product(TEXTS, ENDS, IDS, LATER):
        rest = {"logprobs": None, **end, "token_ids": ids}
        names = ("ChatCompletionResponseStreamChoice", "ChatCompletionStreamResponse")
        for delta in deltas(said):
            fields = {"delta": delta, **rest}
            found.append((written(chat, *names, fields, later), written(changed_chat, *names, fields, later)))
        fields = {"text": said, **rest}
        names = ("CompletionResponseStreamChoice", "CompletionStreamResponse")
        found.append((written(text, *names, fields, later), written(changed_text, *names, fields, later)))
    return found


if __name__ == "__main__":
    vllama_engine.install()
    for change in vllama_engine.CHANGES:
        import_module(import_module(f"vllama_engine.{change}").MODULE)
    answer = {"unfit": os.environ.get("_VLLAMA_UNFIT", "").split(), "chunks": pairs()}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")

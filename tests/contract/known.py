"""Cases that are not equal and not to be: what docs/differences.md says for people, by id."""

from __future__ import annotations

from typing import Any, Final

REASONS: Final = {
    "format/with-tools": "Ollama gives up when a token repeats thirty times and leaves the answer without an end",
    "format/json": "blanks may stand in JSON here, so that tinychat says what it says freely; recorded was nonsense",
    "format/schema": "likewise",
    "format/schema-thinking": "likewise",
    "format/schema-thinking-default": "likewise",
    "format/schema-thinking-stream": "likewise, streamed",
    "format/json-thinking-generate": "likewise",
    "oai-chat/json-schema": "likewise",
    "oai-chat/json-schema-stream": "likewise, streamed",
    "options/odd-temperature-high": "vLLM below that Ollama refused it; here it gets the nearest value that vLLM takes",
    "options/odd-temperature-negative": "likewise",
    "options/odd-top-p-over": "likewise",
    "options/odd-min-p-over": "likewise",
    "options/odd-stop-empty-string": "likewise: a stop of nothing is none",
    "oai-responses/tool-result": "the engine's true count of tokens found in the prefix cache, which that Ollama did not tell",
    "anthropic/tool-result": "likewise; what was cached is no part of input_tokens",
    "oai-completions/prompt-list": "lists of prompts are answered, as by OpenAI and vLLM",
    "oai-completions/prompt-tokens": "tokens are continued, as by OpenAI and vLLM",
    "oai-embeddings/bad-numbers": "tokens are embedded, as by OpenAI and vLLM",
    "oai-chat/tool-arguments-bad": "a call in the history whose arguments are no JSON has none; Ollama refuses it",
    "host/evil": "the 403 says which setting knows the name; Ollama's has no body",
    "host/trailing-dot": "likewise",
    "host/lookalike": "likewise",
    "host/lookalike-local": "likewise",
    "host/link-local": "likewise",
    "host/evil-post": "likewise",
    "host/evil-unknown-path": "likewise",
    "host/evil-with-origin": "likewise",
    "host/anyhost-same-origin": "asked on the machine itself by a name that is not its own: a web page could do so (DNS rebinding)",
    "queue/ps-while-busy": "asked 20 ms after a request: a model that is still loading then is not in our list yet",
}


def unexpected(results: list[dict[str, Any]]) -> list[str]:
    """The ids of cases that break a client (A) or differ visibly (B) for no known reason."""
    return [r["id"] for r in results if r["worst"] in ("A", "B") and r["id"] not in REASONS]

"""Requests and tokens by key and model since the start, as metrics with a bounded number of labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric

from vllama.observe.spent import Spent

_MOST: Final = 500
"""Pairs of key and model; further ones are counted together as ``other``."""


class Tally:
    """Belongs to the event loop. A key's label is its name, empty without a key."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], list[int]] = {}

    def count(self, spent: Spent) -> None:
        """One more request."""
        names = spent.caller.name or spent.caller.id, spent.model
        found = self._counts.get(names)
        if found is None:
            if len(self._counts) >= _MOST:
                names = "other", "other"
            found = self._counts.setdefault(names, [0, 0, 0, 0])
        found[0] += 1
        found[1] += spent.prompt_tokens
        found[2] += spent.cached_tokens
        found[3] += spent.generated_tokens

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client.registry.Collector``."""
        requests = CounterMetricFamily(
            "vllama_usage_requests", "Requests that reached a model, by API key.", labels=("key", "model")
        )
        tokens = CounterMetricFamily(
            "vllama_usage_tokens",
            "Tokens by API key and kind: prompt, cached (part of prompt) or generated.",
            labels=("key", "model", "kind"),
        )
        for (key, model), (number, *kinds) in self._counts.items():
            requests.add_metric((key, model), number)
            for kind, count in zip(("prompt", "cached", "generated"), kinds, strict=True):
                tokens.add_metric((key, model, kind), count)
        yield from (requests, tokens)

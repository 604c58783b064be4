"""What an engine's vLLM knows about models: which architectures, what each of them does, which quantisations. Pure.

vLLM's own registry is the source (``install.ask``). A class's name does not say what a model does: ``GPT2LMHeadModel``
and ``InternVLChatModel`` write text, ``BertModel`` makes embeddings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

Work = Literal["generate", "embed", "classify", "transcribe", "draft"]
"""What a model does. ``draft``: it guesses tokens for another model (speculative decoding)."""

_WORKS: Final = frozenset(get_args(Work))


@dataclass(frozen=True, slots=True)
class Registry:
    """One vLLM's knowledge."""

    version: str
    """vLLM's."""
    models: Mapping[str, Work]
    """By architecture, as config.json spells it."""
    gone: Mapping[str, str]
    """Architectures that vLLM has given up, and the last version that had each."""
    quantizations: frozenset[str]
    """Methods of ``quantization_config.quant_method``."""
    sure: bool = True
    """Whether this is that vLLM's own answer. Otherwise it may know more, and refuses by itself what it does not."""

    def work_of(self, architectures: Iterable[str]) -> Work | None:
        """What a model does whose config.json has these architectures; None if vLLM knows none of them."""
        unknown: Work | None = None if self.sure else "generate"
        return next((self.models[name] for name in architectures if name in self.models), unknown)

    def quantizes(self, method: str) -> bool:
        """Whether vLLM loads checkpoints of that method."""
        rounded = method in {"auto-round", "auto_round"} and "inc" in self.quantizations
        return not self.sure or rounded or method in self.quantizations


def read_registry(answer: Any) -> Registry:
    """From the answer of ``install.ask``; raises KeyError or TypeError for anything else, e.g. an older answer."""
    return Registry(
        version=str(answer["version"]),
        models={str(name): cast("Work", work) for name, work in _items(answer["models"]) if work in _WORKS},
        gone={str(name): str(version) for name, version in _items(answer["gone_models"])},
        quantizations=frozenset(answer["quantizations"]),
    )


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        raise TypeError("not an object")
    return value.items()

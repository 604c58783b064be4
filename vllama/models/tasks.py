"""What a model does, by its architecture: the engine's own registry says it (``install.registry``). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from vllama.errors import ModelUnusable
from vllama.install.registry import Registry, Work
from vllama.models.model import Task

Json = Mapping[str, Any]

_ONLY: Final = "Only models that generate text or embeddings can be served."
_UNSERVED: Final[Mapping[Work, tuple[str, str]]] = {
    "classify": ("is a classifier or reranker", _ONLY),
    "transcribe": ("transcribes speech", _ONLY),
    "draft": (
        "is a draft model, which only guesses tokens for another one",
        "Name it in settings.speculative of the model that it was made for.",
    ),
}


def read_task(config: Json, modules: Iterable[Json], registry: Registry, where: str) -> tuple[str, Task]:
    """The architecture and what it is served for.

    ``modules``: modules.json of sentence-transformers, which makes an embedder of any model. Raises ModelUnusable for
    what the engine of ``registry`` does not know, or what is neither a generator nor an embedder; ``where``: its place.
    """
    found = config.get("architectures")
    names = tuple(name for name in found if isinstance(name, str)) if isinstance(found, list) else ()
    if not names:
        raise ModelUnusable(
            "config.json names no architecture",
            hint="It is not a transformers model; use a repository whose config.json has 'architectures'.",
            where=where,
        )
    work = registry.work_of(names) or _own_code(config)
    if work is None:
        text, hint = _unknown(names[0], registry)
        raise ModelUnusable(text, hint=hint, where=where)
    if work in _UNSERVED:
        text, hint = _UNSERVED[work]
        raise ModelUnusable(f"{names[0]} {text}", hint=hint, where=where)
    pools = any(str(module.get("type", "")).endswith("Pooling") for module in modules)
    return names[0], "embed" if pools or work == "embed" else "generate"


def _own_code(config: Json) -> Work | None:
    """A generator that brings its code along, which vLLM runs where it is trusted (``--trust-remote-code``)."""
    code = config.get("auto_map")
    return "generate" if isinstance(code, Mapping) and "AutoModelForCausalLM" in code else None


def _unknown(architecture: str, registry: Registry) -> tuple[str, str]:
    if last := registry.gone.get(architecture):
        text = f"vLLM had the architecture {architecture} up to version {last}; {registry.version} has given it up"
        return text, "Choose another model."
    text = f"vLLM {registry.version} does not know the architecture {architecture}"
    return text, "Choose another model, or a newer engine."

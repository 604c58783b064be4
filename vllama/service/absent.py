"""Models that the configuration names and that are not here, and what brings them. The service starts without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vllama.config.document import KeyPath
from vllama.config.faults import suggestion
from vllama.config.load import Loaded
from vllama.errors import NotPulled
from vllama.models.catalog import Catalog
from vllama.models.names import ModelName, parse_name
from vllama.models.sources import parse_given, repository_of
from vllama.models.store import ModelStore

_GGUF = "GGUF files can't be served; name the repository with the safetensors files"


@dataclass(frozen=True, slots=True)
class Absent:
    """One of them, by its place in the configuration."""

    key: KeyPath
    reason: str
    pull: str = ""
    """The command that brings it; empty if a pull does not help."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.pull}" if self.pull else self.reason


def absent_models(loaded: Loaded, store: ModelStore, catalog: Catalog) -> Iterator[Absent]:
    """Entries of ``models`` that can't be used, then those of ``preload`` that are no model of this machine."""
    for text, entry in loaded.config.models.items():
        source, name = parse_given(entry.source), parse_name(text)
        problem = store.problem(name) if name is not None else None
        if source is None or problem is None:
            continue
        key: KeyPath = ("models", text, "source")
        if source.location.endswith(".gguf"):
            yield Absent(key, _GGUF)
        elif not isinstance(problem, NotPulled):
            yield Absent(key, problem.detail)
        elif source.kind == "model" and (other := parse_name(source.location)) and catalog.find(other) is None:
            yield Absent(key, _unknown(other, loaded, store, catalog))
        else:
            yield Absent(key, f"{source} is not pulled", f"vllama pull {text}")
    configured = {name.key for text in loaded.config.models if (name := parse_name(text)) is not None}
    for number, text in enumerate(loaded.config.preload):
        name = parse_name(text)
        if name is None or name.key in configured or store.find(name) is not None:
            continue
        key = ("preload", str(number))
        if problem := store.problem(name):
            yield Absent(key, problem.detail)
        elif catalog.find(name) is not None or repository_of(name) is not None:
            yield Absent(key, f"{text} is not pulled", f"vllama pull {text}")
        else:
            yield Absent(key, _unknown(name, loaded, store, catalog))


def _unknown(name: ModelName, loaded: Loaded, store: ModelStore, catalog: Catalog) -> str:
    here = [*loaded.config.models, *(model.name.short.removesuffix(":latest") for model in store.all())]
    short = name.short.removesuffix(":latest")
    near = suggestion(short, here) or (f" (did you mean {close!r}?)" if (close := catalog.near(name)) else "")
    where = f"it is not configured, not in the catalogue, and was not pulled into {loaded.state}"
    return f"there is no model {short!r}: {where}{near}"

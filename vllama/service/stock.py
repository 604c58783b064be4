"""Opens the store of models as the configuration and the command line say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial

from vllama.config.load import Loaded
from vllama.errors import ModelUnusable
from vllama.install.engines import known_registry
from vllama.install.registry import Registry
from vllama.models.library import Library
from vllama.models.names import parse_name
from vllama.models.shelf import Shelf
from vllama.models.sources import BUILTIN, Source, parse_given
from vllama.models.store import Given, ModelStore


def open_store(
    loaded: Loaded,
    extra: Mapping[str, str] | None = None,
    library: Library | Shelf | None = None,
    kept: Collection[str] = (),
) -> ModelStore:
    """``extra``: name to source of the models named on the command line; they win over configured ones.

    ``library``: one that was read already, or the shelf of the store before, when the configuration was read again.
    ``kept``: keys of the models that stay loaded. Raises ModelUnusable for an ``extra`` that names no model.
    """
    return ModelStore(loaded.state, _given(loaded, extra or {}), registry_of(loaded), library, kept)


def registry_of(loaded: Loaded) -> Callable[[], Registry]:
    """A function that returns what the current engine knows about models."""
    return partial(known_registry, loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache)


def _given(loaded: Loaded, extra: Mapping[str, str]) -> Iterator[Given]:
    """Configured models, then those of the command line; names and sources have been checked at their doors."""
    configured: dict[str, Given] = {}
    for text, entry in loaded.config.models.items():
        name, source = parse_name(text), parse_given(entry.source)
        if name is not None and source is not None:
            configured[name.key] = Given(
                name,
                source,
                f"in the configuration ({loaded.origin_of(('models', text))})",
                system=entry.system,
                parameters=entry.parameters,
                keep_alive=entry.keep_alive,
                pinned=entry.pin,
            )
    for name in filter(None, map(parse_name, loaded.config.preload)):
        if name.short.removesuffix(":latest") in BUILTIN and name.key not in configured:
            source = Source("builtin", name.model)
            configured[name.key] = Given(name, source, f"in the configuration ({loaded.origin_of('preload')})")
    yield from configured.values()
    for text, place in extra.items():
        name, source = parse_name(text), parse_given(place)
        if name is None or source is None:
            raise ModelUnusable(
                f"'{text}={place}' names no model",
                hint="Give a name of the catalogue, a repository org/name[@revision], a directory or tinychat.",
            )
        known = configured.get(name.key, Given(name, source, "on the command line"))
        yield replace(known, name=name, source=source)

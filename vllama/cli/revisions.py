"""Compares the commits of pulled models with those that the hub has now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vllama.cli.progress import progress
from vllama.cli.whose import note_whose
from vllama.config.environment import environment
from vllama.config.load import Loaded, load_config
from vllama.errors import ConfigError, PullFailed
from vllama.models.catalog import Catalog
from vllama.models.catalogs import read_catalog
from vllama.models.library import Library
from vllama.models.manifest import Manifest
from vllama.models.names import parse_name
from vllama.models.sources import Source

_ONE_REPOSITORY = frozenset({"pull_unknown", "pull_gated"})
"""What is wrong with one repository only; other failures are the hub's or the network's."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One pulled model."""

    name: str
    repository: str
    revision: str
    """Branch or tag."""
    here: str
    """The commit that was pulled."""
    hub: str
    """The commit that the hub has; empty if it did not say."""
    problem: str = ""

    @property
    def outdated(self) -> bool:
        """Whether the hub has another commit."""
        return bool(self.hub) and self.hub != self.here


def revisions(file: Path | None, *, quiet: bool) -> tuple[Revision, ...]:
    """Every pulled model that another pull can renew, by name. ``file``: the configuration.

    Raises ConfigError, and PullFailed if the hub can't be asked.
    """
    # slow to import, and only needed here
    from vllama.download.hub import commit_of  # noqa: PLC0415

    loaded = load_config(file, environ=environment())
    note_whose(loaded, environment(), "outdated")
    asked: dict[Source, tuple[str, str]] = {}
    found = []
    with progress(quiet=quiet) as show:
        for name, manifest in sorted(_pulled(loaded)):
            source = Source("hub", manifest.source.location, manifest.revision)
            show.status(f"asking the hub about {source}")
            if source not in asked:
                try:
                    asked[source] = commit_of(source), ""
                except PullFailed as error:
                    if error.error_code not in _ONE_REPOSITORY:
                        raise
                    asked[source] = "", error.detail
            commit, problem = asked[source]
            revision = manifest.revision or "main"
            found.append(Revision(name, source.location, revision, manifest.source.revision, commit, problem))
        show.status("")
    return tuple(found)


def _pulled(loaded: Loaded) -> Iterator[tuple[str, Manifest]]:
    """Models from the hub under names that can be pulled: copies and created models are not."""
    manifests = loaded.state / "manifests"
    if manifests.exists() and not os.access(manifests, os.R_OK | os.X_OK):
        raise ConfigError(f"you may not read the models in {loaded.state}", hint="Try it with sudo.")
    catalog = read_catalog(loaded.config.paths.catalog)
    configured = {name.key for text in loaded.config.models if (name := parse_name(text)) is not None}
    for key, entry in Library(loaded.state).all().items():
        manifest = entry.manifest
        if manifest.source.kind == "hub" and (key in configured or _can_be_pulled(manifest, catalog)):
            yield manifest.name.short, manifest


def _can_be_pulled(manifest: Manifest, catalog: Catalog) -> bool:
    name, repository = manifest.name, manifest.source.location
    if manifest.parent or manifest.layers:
        return False
    if f"{name.namespace}/{name.model}".casefold() == repository.casefold():
        return True
    listing = catalog.find(name)
    return listing is not None and any(offer.repository == repository for offer in listing.offers)

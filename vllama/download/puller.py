"""Pulls: from a name to a repository, and from its files to a model of the library."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Literal

from vllama.download.transfer import Downloads
from vllama.errors import ModelUnusable, PullFailed
from vllama.models.arrival import Part
from vllama.models.catalog import Catalog, Listing, Offer
from vllama.models.manifest import Manifest
from vllama.models.names import DEFAULT_HOST, ModelName, parse_name, tag_of
from vllama.models.sources import Source, repository_of
from vllama.models.store import ModelStore

_LOG = logging.getLogger("vllama.download")
PullStep = Literal[
    "pulling manifest", "verifying sha256 digest", "writing manifest", "removing unused layers", "success"
]
"""What Ollama says between the parts."""
_PRECISIONS: Final = {"bf16": "16 bits", "fp8": "8 bits", "int4": "4 bits"}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means."""

    source: Source
    tool_parser: str = ""
    reasoning_parser: str = ""


class Puller:
    """Pulls models into one store. ``choose`` knows which of a name's repositories suits this machine."""

    def __init__(
        self,
        store: ModelStore,
        catalog: Catalog,
        downloads: Downloads,
        choose: Callable[[Listing], Awaitable[Offer | None]],
    ) -> None:
        self.catalog = catalog
        self._store, self._downloads, self._choose = store, downloads, choose

    async def pull(self, name: ModelName, revision: str = "") -> AsyncGenerator[PullStep | tuple[Part, ...]]:
        """Bring a model and list it. Ends with ``success`` or raises PullFailed, ModelUnusable, StoreFailed.

        ``revision``: of the repository, where the name was given with one (``names.split_revision``). Closing the
        iterator leaves the download to other pulls of the same repository.
        """
        yield "pulling manifest"
        configured = self._store.source(name)
        target = name if configured is None else self._renewed(configured)
        if target is None:
            if configured is not None and configured.kind == "hub" and self._store.find(name) is None:
                async with aclosing(self.fetch(configured)) as parts:
                    async for part in parts:
                        yield part
                await asyncio.to_thread(self._store.refresh)
                if problem := self._store.problem(name):
                    raise problem
            yield "success"
            return
        meant = await self._resolve(target, revision, planned_as=name)
        commit = ""
        async with aclosing(self._downloads.follow(meant.source)) as steps:
            async for one in steps:
                if isinstance(one, str):
                    commit = one
                else:
                    yield one
        yield "verifying sha256 digest"  # each file was verified as soon as it was fetched
        yield "writing manifest"
        if await asyncio.to_thread(self._save, target, meant, commit, configured):
            yield "removing unused layers"
        if problem := self._store.problem(name):
            raise problem
        yield "success"

    async def fetch(self, source: Source) -> AsyncGenerator[tuple[Part, ...]]:
        """Bring a repository into the cache without listing it."""
        async with aclosing(self._downloads.follow(source)) as steps:
            async for one in steps:
                if not isinstance(one, str):
                    yield one

    def knows(self, name: ModelName) -> bool:
        """Whether a pull of that name can be tried: it is in the catalogue, or the name of a repository."""
        return self.catalog.find(name) is not None or repository_of(name) is not None

    def _renewed(self, configured: Source) -> ModelName | None:
        """The name that a pull of a configured model pulls; None where its source is a place, or was created here."""
        name = parse_name(configured.location) if configured.kind == "model" else None
        if name is None or (self.catalog.find(name) is None and self._store.library.find(name) is not None):
            return None
        return name

    async def _resolve(self, name: ModelName, revision: str, *, planned_as: ModelName) -> Meaning:
        """``planned_as``: the name whose settings count. Raises PullFailed for a name that means nothing."""
        listing = self.catalog.find(name)
        if listing is not None:
            known = self._store.library.find(name)
            kept = [offer for offer in listing.offers if known and known.source.location == offer.repository]
            offer = kept[0] if kept else await self._choose(replace(listing, name=planned_as))
            if offer is None:
                raise _nothing_fits(name, listing.offers)
            _LOG.info("%s is %s (%s)", name.short, offer.repository, _PRECISIONS[offer.precision])
            return Meaning(Source("hub", offer.repository), listing.tool_parser, listing.reasoning_parser)
        if (source := repository_of(name, revision or self._revision_before(name))) is not None:
            return Meaning(source)
        raise self._unknown(name)

    def _revision_before(self, name: ModelName) -> str:
        """What the tag of a name meant when it was pulled: ``refs-pr-3`` is ``refs/pr/3``."""
        known = self._store.library.find(name)
        return known.revision if known is not None and tag_of(known.revision) == name.tag else ""

    def _unknown(self, name: ModelName) -> PullFailed:
        if name.host != DEFAULT_HOST:
            hint = f"{name.host} is not a hub that vLLama pulls from; name a repository: hf.co/org/name"
        elif tags := self.catalog.tags(name.model):
            hint = f"The catalogue has {name.model} as: {', '.join(tags)}"
        else:
            near = f". Did you mean {close}?" if (close := self.catalog.near(name)) else "."
            hint = f"The catalogue has no such name (see: vllama catalog list){near} Or name a repository: org/name"
        return PullFailed("file does not exist", hint=hint)

    def _save(self, name: ModelName, meant: Meaning, commit: str, configured: Source | None) -> bool:
        source = Source("hub", meant.source.location, commit)
        manifest = Manifest(
            name,
            source,
            revision=meant.source.revision,
            tool_parser=meant.tool_parser,
            reasoning_parser=meant.reasoning_parser,
        )
        try:
            return self._store.save(manifest) if configured is None else self._store.keep(manifest)
        except ModelUnusable:
            self._store.discard(source)
            raise


def _nothing_fits(name: ModelName, offers: tuple[Offer, ...]) -> PullFailed:
    if not offers:
        return PullFailed(f"the catalogue has {name.short} only in other precisions", hint="Leave the precision out.")
    there = ", ".join(_PRECISIONS[offer.precision] for offer in offers)
    return PullFailed(
        f"{name.short} exists only in {there}, which this machine can't use",
        hint=f"Name the repository to download it nevertheless: vllama pull {offers[0].repository}",
    )

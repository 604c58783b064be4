"""The catalogue: Ollama's names for models, and the repositories that hold them in several precisions. Pure.

``catalog.yaml`` next to this module is the shipped one; ``models.catalogs`` reads it and those that override it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vllama.models.names import DEFAULT_HOST, DEFAULT_NAMESPACE, DEFAULT_TAG, ModelName, parse_name
from vllama.models.sources import parse_source

Precision = Literal["bf16", "fp8", "int4"]
ModelKind = Literal["chat", "base", "code", "reasoning", "vision", "embedding"]

_BYTES: Final[Mapping[Precision, float]] = {"bf16": 2.0, "fp8": 1.05, "int4": 0.6}
"""Per parameter; quantised checkpoints keep embeddings and scales in 16 bits."""
_WORDS: Final[tuple[tuple[re.Pattern[str], Precision], ...]] = (
    (re.compile(r"(?:b?f|fp)16"), "bf16"),
    (re.compile(r"fp8|q8_0|int8"), "fp8"),
    (re.compile(r"q[2-6]_\w+|int4|awq|gptq|w4a16|mxfp4"), "int4"),
)
_TUNED: Final = ("-instruct", "-chat", "-it")
"""Ollama's long tags say what the short ones mean anyway: ``8b`` is ``8b-instruct-q4_K_M``."""


def _check_repository(value: str) -> str:
    source = parse_source(value)
    if source is None or source.kind != "hub" or source.revision or source.location != value:
        raise ValueError("must be a repository org/name")
    return value


def _check_tag(value: str) -> str:
    if parse_name(f"x:{value}") is None:
        raise ValueError("must be a tag (letters, digits, '_', '-', '.')")
    return value


def _check_family(value: str) -> str:
    name = parse_name(value)
    if name is None or ":" in value:
        raise ValueError("must be a model name without a tag")
    return value


Repository = Annotated[str, AfterValidator(_check_repository)]
Tag = Annotated[str, AfterValidator(_check_tag)]
FamilyName = Annotated[str, AfterValidator(_check_family)]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    licence: str | None = None
    """SPDX id or the publisher's name for it."""
    kind: ModelKind | None = None
    """What the model is for."""
    gated: bool | Literal["unknown"] | None = None
    """Whether the bf16 repository wants terms to be accepted."""
    context: Annotated[int, Field(gt=0)] | None = None
    """Trained context in tokens."""
    tool_parser: str | None = None
    """vLLM's, for models whose chat template does not show it."""
    reasoning_parser: str | None = None
    """vLLM's, for models whose chat template does not show it."""


class Variant(_Facts):
    """One tag of a family; what it does not say is said by the family."""

    billions: Annotated[float, Field(gt=0)] | None = None
    """Parameters in billions."""
    active: Annotated[float, Field(gt=0)] | None = None
    """Parameters that one token uses, where experts are mixed."""
    bf16: Repository | None = None
    """Repository with 16-bit weights."""
    open: Repository | None = None
    """The bf16 weights published again without a gate."""
    fp8: Repository | None = None
    """Repository with 8-bit weights."""
    int4: Repository | None = None
    """Repository with 4-bit weights (AWQ, GPTQ, W4A16, MXFP4)."""


class Family(_Facts):
    """All tags of one name."""

    tags: Annotated[Mapping[Tag, Variant | Tag], Field(min_length=1)]
    """A variant, or the tag that this one stands for."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One repository that a name can mean."""

    repository: str
    precision: Precision
    gated: bool | Literal["unknown"]
    weights: int | None
    """Estimated bytes of its weights; None if the catalogue does not state the size."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A name of the catalogue: what can be fetched for it, in falling precision."""

    name: ModelName
    offers: tuple[Offer, ...]
    licence: str
    kind: str
    billions: float | None
    context: int | None
    tool_parser: str
    reasoning_parser: str


@dataclass(frozen=True, slots=True)
class WeightRoom:
    """What the machine has for weights."""

    bytes: int
    """Memory that a model's weights may take."""
    precisions: frozenset[Precision] = frozenset({"bf16", "fp8", "int4"})
    """Those that the engine computes with here."""
    token: bool = False
    """Whether there is a token of the hub, without which gated repositories are closed."""


class Catalog:
    """Families by name."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = {name.casefold(): (name, family) for name, family in families.items()}

    def overridden(self, families: Mapping[str, Family]) -> Catalog:
        """With the families of a stronger catalogue; of a family that both have, its tags and facts win."""
        merged = dict(self._families.values())
        for name, family in families.items():
            known = self._families.get(name.casefold())
            merged[known[0] if known else name] = _merged(known[1], family) if known else family
        return Catalog(merged)

    def find(self, name: ModelName) -> Listing | None:
        """What a name means; None for one that the catalogue does not have.

        Ollama's long tags are understood: ``3b-instruct-fp16`` is ``3b`` in 16 bits.
        """
        if name.host != DEFAULT_HOST or name.namespace.casefold() != DEFAULT_NAMESPACE:
            return None
        found = self._families.get(name.model.casefold())
        if found is None:
            return None
        tags = {tag.casefold(): tag for tag in found[1].tags}
        for tag, precision in _readings(name.tag.casefold()):
            if tag in tags:
                return _listing(name, found[1], tags[tag], precision)
        return None

    def tags(self, model: str) -> tuple[str, ...]:
        """All tags of a family; empty for an unknown one."""
        found = self._families.get(model.casefold())
        return tuple(found[1].tags) if found else ()

    def near(self, name: ModelName) -> str:
        """The name that was probably meant by one that is not in the catalogue; empty if none is close."""
        names = {listing.name.short.removesuffix(":latest"): None for listing in self.all()}
        wanted = name.short.removesuffix(":latest")
        close = difflib.get_close_matches(wanted, [*names, *(short.partition(":")[0] for short in names)], n=1)
        return close[0] if close else ""

    def faults(self) -> Iterator[str]:
        """Names that lead to no repository."""
        for listing in self.all():
            if not listing.offers:
                yield f"{listing.name.short} names no repository"

    def all(self) -> Iterator[Listing]:
        """Every name, by family."""
        for model, family in self._families.values():
            for tag in family.tags:
                yield _listing(ModelName(DEFAULT_HOST, DEFAULT_NAMESPACE, model, tag), family, tag, None)


def choose(listing: Listing, room: WeightRoom) -> Offer | None:
    """The most precise offer whose weights fit; else the smallest one; None if this machine can compute none of them.

    It uses the catalogue's rough sizes: for when the hub can't be asked for the true ones.
    """
    offers = usable(listing, room)
    for offer in offers:
        if offer.weights is None or offer.weights <= room.bytes:
            return offer
    return offers[-1] if offers else None


def usable(listing: Listing, room: WeightRoom) -> tuple[Offer, ...]:
    """What can be computed and fetched here, whatever its size, in falling precision."""
    offers = tuple(offer for offer in listing.offers if offer.precision in room.precisions)
    return offers if room.token else tuple(offer for offer in offers if offer.gated is not True) or offers


def _merged(weak: Family, strong: Family) -> Family:
    said = strong.model_dump(exclude_unset=True, exclude={"tags"})
    return weak.model_copy(update={**said, "tags": {**weak.tags, **strong.tags}})


def _readings(tag: str) -> Iterator[tuple[str, Precision | None]]:
    """What a tag can mean: itself, or a shorter one in a precision."""
    yield tag, None
    stem, _, word = tag.rpartition("-")
    precision = next((kind for pattern, kind in _WORDS if pattern.fullmatch(word)), None)
    for end in ("", *_TUNED):
        if precision is not None and (stem or not end) and stem.endswith(end):
            yield stem.removesuffix(end) or DEFAULT_TAG, precision
        if precision is None and end and tag.endswith(end):
            yield tag.removesuffix(end), None


def _listing(name: ModelName, family: Family, tag: str, precision: Precision | None) -> Listing:
    variant = family.tags[tag]
    for _ in range(len(family.tags)):  # a tag may stand for another one; in a circle it means nothing
        if isinstance(variant, Variant):
            break
        variant = family.tags.get(variant, Variant())
    if isinstance(variant, str):
        variant = Variant()

    def stated(key: str) -> Any:
        own = getattr(variant, key)
        return getattr(family, key) if own is None else own

    offers = tuple(_offers(variant, stated("gated") or False))
    return Listing(
        name=name,
        offers=tuple(offer for offer in offers if precision in {None, offer.precision}),
        licence=stated("licence") or "",
        kind=stated("kind") or "",
        billions=variant.billions,
        context=stated("context"),
        tool_parser=stated("tool_parser") or "",
        reasoning_parser=stated("reasoning_parser") or "",
    )


def _offers(variant: Variant, gated: bool | Literal["unknown"]) -> Iterator[Offer]:
    """In falling precision; an open copy stands for a gated original."""
    publisher = variant.bf16.partition("/")[0] if variant.bf16 else None
    for precision in _BYTES:
        repository: str | None = getattr(variant, precision)
        closed = gated
        if precision == "bf16" and variant.open is not None:
            repository, closed = variant.open, False
        elif repository is not None and publisher not in {None, repository.partition("/")[0]}:
            closed = (
                False  # the gate is the publisher's; another publisher's quantised copy has no gate that we know of
            )
        if repository is not None:
            weights = int(variant.billions * 1e9 * _BYTES[precision]) if variant.billions else None
            yield Offer(repository, precision, closed, weights)

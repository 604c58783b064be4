"""Where a model's files come from, and what ``vllama serve NAME`` may name. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from vllama.models.names import DEFAULT_HOST, DEFAULT_NAMESPACE, DEFAULT_TAG, ModelName, is_revision, parse_name

BUILTIN: Final = ("tinychat",)
"""Models that are part of the project (package data under ``models/builtin``)."""

_REPOSITORY: Final = re.compile(
    r"(?P<repo>[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})(?:@(?P<revision>.+))?",
    re.ASCII,
)
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_HUBS: Final = frozenset({"hf.co", "huggingface.co", "www.huggingface.co"})
_HUB_PREFIXES: Final = ("https://huggingface.co/", "huggingface.co/", "hf.co/", "hf:")


@dataclass(frozen=True, slots=True)
class Source:
    """One of five places: ``builtin`` (our own), ``directory`` (a path), ``hub`` (a Hugging Face repository), ``files``
    (what was uploaded to create a model, kept in the store) or ``model`` (what the store has under another name)."""

    kind: Literal["builtin", "directory", "hub", "files", "model"]
    location: str
    """Name, path as written, ``org/name``, or the files' hash."""
    revision: str = ""
    """Branch, tag or commit of a repository; empty: its main branch."""

    def __str__(self) -> str:
        if self.kind == "builtin":
            return f"builtin:{self.location}"
        if self.kind == "files":
            return f"files:{self.location}"
        return f"{self.location}@{self.revision}" if self.revision else self.location


def parse_given(text: str) -> Source | None:
    """Read the ``source`` of a configured model: as ``parse_source``, or a name that can be pulled or was created."""
    source, name = parse_source(text), parse_name(text)
    if source is None and name is not None and "/" not in text and not text.strip().startswith("builtin:"):
        return Source("model", name.short.removesuffix(f":{DEFAULT_TAG}"))
    return source


def parse_source(text: str) -> Source | None:
    """Read a place; None when it is nothing of these."""
    text = text.strip()
    if text in BUILTIN:
        return Source("builtin", text)
    if text.startswith("builtin:"):
        name = text.removeprefix("builtin:")
        return Source("builtin", name) if name in BUILTIN else None
    if text.startswith(("/", "./", "../", "~/")) or text in {".", "..", "~"}:
        return None if "\0" in text else Source("directory", text)
    for prefix in _HUB_PREFIXES:
        text = text.removeprefix(prefix)
    found = _REPOSITORY.fullmatch(text.rstrip("/"))
    if found is None or ".." in found["repo"] or "--" in found["repo"]:
        return None
    if found["revision"] is not None and not is_revision(found["revision"]):
        return None
    return Source("hub", found["repo"], found["revision"] or "")


def repository_of(name: ModelName, revision: str = "") -> Source | None:
    """``hf.co/org/name:revision`` and ``org/name:revision``; models of Ollama's users are not repositories."""
    host = name.host.casefold()
    if host not in _HUBS and (host != DEFAULT_HOST or name.namespace.casefold() == DEFAULT_NAMESPACE):
        return None
    revision = revision or ("" if name.tag == DEFAULT_TAG else name.tag)
    return parse_source(f"{name.namespace}/{name.model}{'@' if revision else ''}{revision}")


def parse_stored(text: str) -> Source | None:
    """Read what ``str(source)`` wrote: a configured model's source, or files of the store."""
    kind, _, location = text.partition(":")
    if kind == "files":
        return Source("files", location) if _HASH.fullmatch(location) else None
    return parse_source(text)


def parse_argument(
    text: str, configured: Collection[str], is_directory: Callable[[str], bool]
) -> tuple[str, str | None] | None:
    """Read one positional argument of ``serve``: (model name, source), or None when it means nothing.

    ``configured``: ``ModelName.key`` of the configured models; such a name has no source of its own (None).
    ``is_directory``: whether a path is a directory, so that a relative one needs no ``./``.
    """
    alias, equals, rest = text.partition("=")
    if equals:
        source = _place(rest, is_directory) or parse_given(rest)
        return (alias, str(source)) if source is not None and parse_name(alias) is not None else None
    name = parse_name(text)
    if name is not None and name.key in configured:
        return text, None
    if name is not None and text in BUILTIN:
        return text, f"builtin:{text}"
    source = _place(text, is_directory)
    if source is None:
        return None
    return name_for(source), str(source)


def name_for(source: Source) -> str:
    """The name of a model that was only given by its place: the directory's name, the repository as it is."""
    if source.kind == "builtin":
        return source.location
    if source.kind == "hub" and parse_name(source.location) is not None:
        return source.location
    last = _ILLEGAL.sub("-", Path(source.location).name).strip("-.")[:80]
    return last or "model"


def _place(text: str, is_directory: Callable[[str], bool]) -> Source | None:
    """As ``parse_source``, but a directory that exists wins over a repository of the same spelling."""
    source = parse_source(text)
    if (source is None or source.kind == "hub") and text and "\0" not in text and is_directory(text):
        return Source("directory", text if text.startswith(("/", "~")) else f"./{text}")
    return source

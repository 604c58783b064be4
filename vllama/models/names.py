"""Model names as Ollama reads them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

LONGEST = 1_000
"""Characters of what may be a name, blanks around it included."""

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}", re.ASCII)
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", re.ASCII)
_MODEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9._/+=#,-]{1,255}", re.ASCII)
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_LONGEST_TAG = 80


@dataclass(frozen=True, slots=True)
class ModelName:
    """``[host/][namespace/]model[:tag]`` with its defaults filled in; compare with ``key``."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def key(self) -> str:
        """Lookup is case-insensitive in all four parts."""
        return self.full.casefold()

    @property
    def full(self) -> str:
        """``registry.ollama.ai/library/mini:latest``: the spelling of the capability texts."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def short(self) -> str:
        """The shortest display; always shows the tag."""
        if self.host.casefold() != DEFAULT_HOST:
            return self.full
        if self.namespace.casefold() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"


def parse_name(text: str) -> ModelName | None:
    """Read a name with Ollama's defaults; None when it is not a legal name."""
    if len(text) > LONGEST:
        return None
    text = text.strip(" \t\r\n")
    scheme, mark, rest = text.partition("://")
    if mark and scheme and rest.count("/") == 2:  # a scheme belongs to a host
        text = rest
    path, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        path, colon, tag = text, "", DEFAULT_TAG
    parts = path.split("/")
    if len(parts) > 3:
        return None
    host, namespace, model = ([DEFAULT_HOST, DEFAULT_NAMESPACE, ""][: 3 - len(parts)] + parts)[:3]
    legal = (_HOST.fullmatch(host), _NAMESPACE.fullmatch(namespace), _MODEL.fullmatch(model), _MODEL.fullmatch(tag))
    return ModelName(host, namespace, model, tag) if all(legal) else None


def is_revision(text: str) -> bool:
    """Whether a repository's branch, tag or commit may be called so, as git does: ``v1.0``, ``refs/pr/3``."""
    parts = text.split("/")
    return _REVISION.fullmatch(text) is not None and not any(
        part in {"", ".", ".."} or part.endswith(".lock") for part in parts
    )


def split_revision(text: str) -> tuple[str, str]:
    """``org/name@revision`` as the name that it gets, and the revision; other texts unchanged, and an empty revision.

    A tag holds no slash: ``org/name@refs/pr/3`` is called ``org/name:refs-pr-3``.
    """
    path, at, revision = text.strip().rpartition("@")
    if not at or "/" not in path or ":" in path.rpartition("/")[2] or not is_revision(revision):
        return text, ""
    return f"{path}:{tag_of(revision)}", revision


def tag_of(revision: str) -> str:
    """The tag of a name that stands for a revision."""
    return _NOT_IN_TAGS.sub("-", revision).lstrip("-.")[:_LONGEST_TAG]

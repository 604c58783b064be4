"""Finds the model for the name that a client typed, by Ollama's rules for names."""

from __future__ import annotations

from typing import Final

from vllama.errors import BadRequest, ModelUnusable, NoCloud, NotFound
from vllama.http.front import Front
from vllama.models.model import Model
from vllama.models.names import LONGEST, ModelName, parse_name, split_revision
from vllama.quoting import excerpt

_MARKERS: Final = frozenset({"cloud", "local"})
_NO_CLOUD: Final = "ollama cloud is disabled: remote model is unavailable"

QUOTED: Final = "model '{}' not found"
PULL_FIRST: Final = 'model "{}" not found, try pulling it first'


def read_name(typed: str, *, no_cloud: str = _NO_CLOUD, invalid: str = "invalid model name") -> ModelName:
    """The name without its source marker; raises BadRequest, or NoCloud for a model of Ollama's cloud."""
    if len(typed) > LONGEST:  # answers repeat it as it was typed, blanks around it included
        raise BadRequest(invalid)
    typed, _ = split_revision(typed)  # org/name@revision is listed as org/name:revision
    bare, marker = _marker(typed)
    if marker and _marker(bare)[1]:
        raise BadRequest(f'use either :local or :cloud, not both: "{excerpt(typed)}"')
    if marker == "cloud" or (not marker and _cloud_tag(typed)):
        raise NoCloud(no_cloud)
    name = parse_name(bare)
    if name is None:
        raise BadRequest(invalid)
    return name


def find_model(front: Front, typed: str, *, missing: str = QUOTED) -> Model:
    """The model that ``typed`` means; raises NotFound in the endpoint's words, ModelUnusable when it is broken."""
    return get_model(front, read_name(typed), missing.format(excerpt(typed)))


def get_model(front: Front, name: ModelName, missing: str) -> Model:
    """The model of a name; raises NotFound with the text ``missing``, ModelUnusable when its files are broken."""
    model = front.models.find(name)
    if model is None:
        if problem := front.models.problem(name):
            raise ModelUnusable(
                f'model "{name.short}" can\'t be served: {problem.message}',
                hint=problem.hint,
                advice=problem.advice,
                where=problem.where,
            ) from problem
        raise NotFound(missing)
    return model


def _marker(text: str) -> tuple[str, str]:
    """A text without its last ``:cloud`` or ``:local``, and that word."""
    bare, colon, last = text.strip().rpartition(":")
    if colon and last.lower() in _MARKERS:
        return bare, last.lower()
    return text, ""


def _cloud_tag(text: str) -> bool:
    _, colon, tag = text.rpartition(":")
    return bool(colon) and "/" not in tag and tag.lower().endswith("-cloud")

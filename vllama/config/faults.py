"""pydantic's findings as sentences a person can act on. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from vllama.config.document import KeyPath
from vllama.config.schema import Config
from vllama.config.variables import keys_of
from vllama.models.parameters import KINDS

_TYPES = {
    "int_type": "must be a whole number",
    "int_parsing_size": "is too large",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "path_type": "must be a path",
    "tuple_type": "must be a list: one '- entry' a line, or [a, b]",
    "mapping_type": "must be a section of 'key: value' lines",
    "dict_type": "must be a section of 'key: value' lines",
    "model_type": "must be a section of 'key: value' lines",
    "model_attributes_type": "must be a section of 'key: value' lines",
    "missing": "is required",
}
_BOUNDS = {
    "greater_than": ("must be more than", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be less than", "lt"),
    "less_than_equal": ("must be at most", "le"),
}
# How other programs name our keys.
_OTHER_NAMES = {
    **dict.fromkeys(("path", "from", "model", "repo", "repository", "directory", "file", "hf"), "source"),
    **dict.fromkeys(("num_ctx", "context", "context_size", "ctx_size", "n_ctx", "context_length"), "max_model_len"),
    **dict.fromkeys(("tp", "gpus", "num_gpu"), "tensor_parallel_size"),
    **dict.fromkeys(("num_parallel", "parallel", "n_parallel", "max_parallel"), "max_num_seqs"),
    **dict.fromkeys(("vllm_args", "args", "flags", "vllm_flags", "engine_args", "extra_vllm_args"), "extra_args"),
}


_SETTINGS = ("models", "NAME", "settings")


def explain(error: ErrorDetails) -> tuple[KeyPath, str]:
    """Key path and sentence for one of pydantic's findings about a ``Config``."""
    key = tuple(str(part) for part in error["loc"] if part != "[key]")
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        return key, "unknown key" + _pointer(key)
    if kind in _TYPES:
        return key, _TYPES[kind] + ("" if kind == "missing" else f", not {shown(given)}{_bare_source(key, given)}")
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return key, f"{words} {context[bound]}, not {shown(given)}"
    if kind == "literal_error":
        choices = [choice.strip("' ") for choice in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return key, f"must be one of {', '.join(choices)}, not {shown(given)}" + suggestion(str(given), choices)
    if kind == "value_error":
        return key, f"{context['error']}, not {shown(given)}"
    return key, error["msg"][:1].lower() + error["msg"][1:]


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'port'?)``, or nothing where no known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _pointer(key: KeyPath) -> str:
    """Where an unknown key belongs, or what was meant by it; empty if that can't be guessed."""
    *path, word = key
    known = _known_keys(tuple(path))
    if keys := keys_of(word):
        return f" (it is an environment variable; its key is {' and '.join(map('.'.join, keys))})"
    if any(word in _known_keys((*path, section)) for section in known):
        home = next(section for section in known if word in _known_keys((*path, section)))
        return f" (it belongs under {home!r})"
    if (other := _OTHER_NAMES.get(word)) is not None and other in known:
        return f" (did you mean {other!r}?)"
    if other is not None and other in _known_keys(_SETTINGS) and not path:
        return f" (did you mean {other!r}, under 'settings' of a model?)"
    if other is not None and "settings" in known:
        return f" (did you mean {other!r}, under 'settings'?)"
    if word in KINDS:
        whose = "" if "parameters" in known else " of the model" if path[:1] == ["models"] else " of a model"
        return f" (it belongs under 'parameters'{whose})"
    return suggestion(word, known) or _elsewhere(word)


def _bare_source(key: KeyPath, given: Any) -> str:
    """How to write a model of which only the source was given."""
    return (
        f" (did you mean {{source: {given!r}}}?)"
        if isinstance(given, str) and key[:1] == ("models",) and len(key) == 2
        else ""
    )


def _elsewhere(word: str) -> str:
    """`` (it belongs at the top level)``, or under another section."""
    sections = _known_keys(())
    if word in sections:
        return " (it belongs at the top level)"
    home = next((section for section in sections if word in _known_keys((section,))), None)
    return f" (it belongs under {home!r})" if home else ""


def shown(value: Any) -> str:
    """A value that was given, short enough for a sentence."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, Sequence):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value is None else str(value)[:60]


def _known_keys(path: KeyPath) -> list[str]:
    """The keys that may stand in the section at ``path``."""
    kind: Any = Config
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            info = kind.model_fields.get(part)
            kind = info.annotation if info is not None else None
        elif get_origin(kind) is not None and len(get_args(kind)) == 2 and get_origin(kind) is not Literal:
            kind = get_args(kind)[1]
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []

"""``POST /api/create``: Ollama's checks in Ollama's order, then ``models.create``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from vllama.answering.desk import Desk
from vllama.answering.rendering import check_template
from vllama.errors import BadRequest
from vllama.http.bodies import read_body
from vllama.http.front import Front, desk_of, front_of
from vllama.http.lookup import read_name
from vllama.http.ollama.progress import answer_progress, progress_lines
from vllama.models.blobs import is_relative, read_digest
from vllama.models.create import Recipe
from vllama.models.names import ModelName, split_revision
from vllama.quoting import excerpt
from vllama.templates import TemplateError
from vllama.translate.ollama.requests import CreateRequest, Turn

_INFO_TEXTS: Final = ("model_family", "base_name", "quantization_level", "parameter_size")
_INFO_NUMBERS: Final = ("context_length", "embedding_length")
_QUANTIZATIONS: Final = ("F32", "F16", "Q4_K_S", "Q4_K_M", "Q8_0")


async def create(request: web.Request) -> web.StreamResponse:
    """Make a model of another one or of uploaded files."""
    asked = await read_body(request, CreateRequest)
    if not all(is_relative(path) for path in asked.files or ()):
        raise BadRequest("file path must be relative")
    name = read_name(asked.typed)
    lines = progress_lines(_creating(front_of(request), desk_of(request), name, asked))
    return await answer_progress(request, lines, stream=asked.stream)


async def _creating(
    front: Front, desk: Desk, name: ModelName, asked: CreateRequest
) -> AsyncGenerator[str | tuple[Any, ...]]:
    recipe = _recipe(name, asked)
    await _check_template(desk, recipe.template)
    async with aclosing(front.creator.create(recipe)) as steps:
        async for step in steps:
            yield step


def _recipe(name: ModelName, asked: CreateRequest) -> Recipe:
    """Raises BadRequest."""
    _check_info(asked.info)
    typed, revision = split_revision(asked.base)
    base = read_name(typed) if typed else None
    if base is None and asked.files is None:
        raise BadRequest("neither 'from' or 'files' was specified")
    if base is None and not asked.files:
        raise BadRequest("unknown type")
    _check_unserved(asked)
    return Recipe(
        name=name,
        base=base,
        revision=revision,
        files=_digests(asked.files or {}),
        adapter=_digests(asked.adapters),
        system=asked.system,
        template=asked.template,
        license=_license(asked.license),
        parameters=asked.parameters,
        messages=tuple(_turn(message) for message in asked.messages),
    )


def _check_unserved(asked: CreateRequest) -> None:
    """What Ollama can do with a model and this server can't: forward it, draft for it, quantize it."""
    if asked.remote_host:
        if asked.draft_files:
            raise BadRequest("DRAFT cannot be used with remote models")
        raise BadRequest("bad remote" if not _is_host(asked.remote_host) else "this server forwards to no other")
    if asked.draft_quantize and not asked.draft_files:
        raise BadRequest("--draft-quantize requires a DRAFT model")
    if asked.draft_files:
        raise BadRequest("draft models are not served", hint="Drafting is a setting of a model: settings.speculative.")
    if wanted := (asked.quantize or asked.quantization).upper():
        if wanted not in _QUANTIZATIONS:
            known = ", ".join(_QUANTIZATIONS)
            text = f"unsupported quantization type {excerpt(wanted)} - supported types are {known}"
            raise BadRequest(text, status=500)
        raise BadRequest(
            "models are not quantized here",
            hint="Use a repository with quantized weights, or set settings.quantization of the model to fp8: vLLM then "
            "quantizes while it loads.",
        )


def _is_host(text: str) -> bool:
    try:
        found = urlsplit(text if "://" in text else f"https://{text}")
        return bool(found.hostname) and (found.port is None or found.port > 0)
    except ValueError:
        return False


def _check_info(info: Mapping[str, Any]) -> None:
    """Its types only: what a model is, its files tell."""
    for key in _INFO_TEXTS:
        if not isinstance(info.get(key, ""), str):
            raise BadRequest(f'info field "{key}" must be a string')
    for key in _INFO_NUMBERS:
        number = info.get(key, 0)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise BadRequest(f'info field "{key}" must be a number')
        if number < 0 or number != int(number):
            raise BadRequest(f'info field "{key}" must be a non-negative integer')


def _digests(files: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for path, text in files.items():
        if not is_relative(path):
            raise BadRequest("file path must be relative: ", quoted=excerpt(path))
        digest = read_digest(text)
        if digest is None:
            raise BadRequest("invalid digest format")
        found[path] = digest
    return found


async def _check_template(desk: Desk, text: str) -> None:
    """Raises BadRequest for what is no Go template.

    A Jinja text passes: whether it is that of the model's own files is known later.
    """
    if text and not _is_jinja(text):
        try:
            await check_template(desk, text)
        except TemplateError as error:
            raise BadRequest(f"template error: {error}") from error


def _is_jinja(text: str) -> bool:
    return "{%" in text


def _license(value: Any) -> tuple[str, ...]:
    """A text or several; Ollama finds out only while it writes the model, hence its 500."""
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list) or not all(text is None or isinstance(text, str) for text in texts):
        raise BadRequest("license: expected a string or a list of strings", status=500)
    return tuple(filter(None, texts))


def _turn(message: Turn) -> dict[str, str]:
    if message.images:
        raise BadRequest("stored messages can't hold images")
    return {"role": message.role.lower(), "content": message.content}

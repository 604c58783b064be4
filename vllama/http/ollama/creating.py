"""``POST /api/create`` (contract 5.11): Ollama's checks in Ollama's order, then ``models.create``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from vllama.errors import BadRequest
from vllama.http.bodies import read_body
from vllama.http.front import front_of
from vllama.http.lookup import read_name
from vllama.http.ollama.progress import answer_progress, progress_lines
from vllama.models.blobs import is_relative, read_digest
from vllama.models.create import Creator, Recipe
from vllama.models.names import ModelName
from vllama.models.pull import as_name
from vllama.translate import native
from vllama.translate.gotemplate import TemplateError
from vllama.translate.ollama_template import read_template
from vllama.translate.pieces import Message

_INFO_TEXTS: Final = ("model_family", "base_name", "quantization_level", "parameter_size")
_INFO_NUMBERS: Final = ("context_length", "embedding_length")


async def create(request: web.Request) -> web.StreamResponse:
    """Make a model of another one or of uploaded files."""
    fields = await read_body(request, native.CREATE)
    name = read_name(fields["model"] or fields["name"])
    if not all(is_relative(path) for path in fields["files"]):
        raise BadRequest("file path must be relative")
    lines = progress_lines(_creating(front_of(request).creator, name, fields))
    return await answer_progress(request, lines, stream=fields["stream"])


async def _creating(
    creator: Creator, name: ModelName, fields: Mapping[str, Any]
) -> AsyncGenerator[str | tuple[Any, ...]]:
    recipe = _recipe(name, fields)
    async with aclosing(creator.create(recipe)) as steps:
        async for step in steps:
            yield step


def _recipe(name: ModelName, fields: Mapping[str, Any]) -> Recipe:
    """Raises BadRequest."""
    if fields["remote_host"]:
        raise BadRequest("bad remote", hint="This server runs models itself and forwards to no other.")
    _check_info(fields["info"])
    if not fields["from"] and not fields["files"]:
        raise BadRequest("neither 'from' or 'files' was specified")
    if fields["quantize"] or fields["quantization"]:
        raise BadRequest(
            "models are not quantized here",
            hint="Use a repository with quantized weights, or set settings.quantization of the model to fp8: vLLM then "
            "quantizes while it loads.",
        )
    return Recipe(
        name=name,
        base=read_name(as_name(fields["from"])) if fields["from"] else None,
        files=_digests(fields["files"]),
        adapter=_digests(fields["adapters"]),
        system=fields["system"],
        template=_template(fields["template"]),
        license=_license(fields["license"]),
        parameters=fields["parameters"],
        messages=tuple(_turn(message) for message in fields["messages"]),
    )


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
            raise BadRequest(f"file path must be relative: {path}")
        digest = read_digest(text)
        if digest is None:
            raise BadRequest("invalid digest format")
        found[path] = digest
    return found


def _template(text: str) -> str:
    """A Go template; the Jinja text of a model's own files passes as well, and is known as such later."""
    if text and not _is_jinja(text):
        try:
            read_template(text)
        except TemplateError as error:
            raise BadRequest(f"template error: {error}") from error
    return text


def _is_jinja(text: str) -> bool:
    return "{%" in text


def _license(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadRequest("license must be a string or a list of strings")
    return tuple(text for text in texts if text)


def _turn(message: Message) -> dict[str, str]:
    if message.images:
        raise BadRequest("stored messages can't hold images")
    return {"role": message.role, "content": message.content}

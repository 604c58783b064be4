"""Creates models: a base with what a Modelfile adds, or uploaded files. Derived models share their base's files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from vllama.errors import BadRequest, ModelUnusable, NotFound
from vllama.models.adapter import read_adapter
from vllama.models.arrival import Pull, Report
from vllama.models.blobs import Blobs
from vllama.models.manifest import Manifest, layer_digest
from vllama.models.names import ModelName
from vllama.models.sources import Source
from vllama.models.store import ModelStore
from vllama.templates import TemplateError
from vllama.templates.model_template import read_template

_GGUF: Final = b"GGUF"
_MAGIC_BYTES: Final = 4
_NO_JINJA: Final = (
    "TEMPLATE takes a Go template, and this looks like a Jinja chat template. Leave it out: the chat template that is "
    "among the model's files applies. To change it, edit "
    "chat_template.jinja in a copy of the files, and serve that directory."
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a model is to be made of, checked as far as possible without reading files."""

    name: ModelName
    base: ModelName | None = None
    revision: str = ""
    """Of the base's repository, where it was named with one."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Relative file names to blobs (64 hex digits), without a base."""
    adapter: Mapping[str, str] = field(default_factory=dict)
    """The files of a PEFT LoRA directory, likewise."""
    system: str = ""
    template: str = ""
    license: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, Any], ...] = ()


class Creator:
    """Creates models in one store."""

    def __init__(self, store: ModelStore, pull: Pull) -> None:
        self._store, self._pull = store, pull

    @property
    def blobs(self) -> Blobs:
        """Where clients upload files to."""
        return self._store.library.blobs

    async def create(self, recipe: Recipe) -> AsyncGenerator[Report]:
        """Make it and list it. Yields what Ollama says, ``success`` last.

        Raises BadRequest, NotFound (a blob), ModelUnusable, PullFailed, StoreFailed; then nothing has changed.
        """
        self._store.refuse_configured(recipe.name)
        if recipe.base is not None:
            if self._store.find(recipe.base) is None:
                async with aclosing(self._pull(recipe.base, recipe.revision)) as steps:
                    async for step in steps:
                        if step != "success":
                            yield step
            start = self._from_base(recipe.base)
        else:
            if any(name.endswith(".gguf") for name in recipe.files):
                yield "parsing GGUF"
            await asyncio.to_thread(self._check_kinds, recipe.files)
            yield "converting model"
            start = await asyncio.to_thread(self._from_files, recipe)
        manifest = await asyncio.to_thread(self._with_layers, start, recipe)
        if recipe.adapter:
            yield "converting adapter"
            manifest = await asyncio.to_thread(self._with_adapter, manifest, recipe)
        for line in _layer_lines(start, manifest, self._files_digest(recipe.base)):
            yield line
        yield "writing manifest"
        await asyncio.to_thread(self._store.save, manifest)
        yield "success"

    def _from_base(self, base: ModelName) -> Manifest:
        found, model = self._store.manifest(base), self._store.find(base)
        if found is None or model is None:
            raise self._store.problem(base) or NotFound(f"model '{base.short}' not found")
        return replace(found, parent=model.name.short)

    def _check_kinds(self, files: Mapping[str, str]) -> None:
        kinds = {self._kind(name, digest) for name, digest in files.items()}
        if "gguf" in kinds:
            raise BadRequest(
                "GGUF files need a plugin that vLLM does not contain",
                hint="Create the model from the safetensors weights that they were made from.",
            )
        if "safetensors" not in kinds:
            raise BadRequest("unknown type")

    def _from_files(self, recipe: Recipe) -> Manifest:
        identity = self.blobs.lay_out(recipe.files)
        manifest = Manifest(recipe.name, Source("files", identity))
        try:
            self._store.check(manifest.source)
        except ModelUnusable as error:
            self._store.discard(manifest.source)
            raise BadRequest(error.message, hint=error.hint) from error
        return manifest

    def _kind(self, name: str, digest: str) -> str:
        """By its name, else by its first bytes, as Ollama does; what can't be looked at is of no kind."""
        try:
            is_gguf = self.blobs.head(digest, _MAGIC_BYTES) == _GGUF
        except NotFound:
            if name.endswith((".gguf", ".safetensors")):
                raise
            return ""
        if name.endswith(".gguf") and not is_gguf:
            raise BadRequest("supplied file was not in GGUF format")
        return "gguf" if is_gguf else "safetensors" if name.endswith(".safetensors") else ""

    def _with_adapter(self, manifest: Manifest, recipe: Recipe) -> Manifest:
        if manifest.adapter:
            raise BadRequest("only one adapter is currently supported")
        base = self._store.find(recipe.base) if recipe.base is not None else None
        if base is None or base.facts.task != "generate":
            raise BadRequest("an adapter needs a base that generates text", hint="Name it with 'from'.")
        for name, digest in recipe.adapter.items():
            if self._kind(name, digest) == "gguf":
                raise BadRequest("GGUF adapters can't be served", hint="Use the PEFT directory that it was made from.")
        identity = self.blobs.lay_out(recipe.adapter)
        try:
            read_adapter(self.blobs.directory(identity))
        except ModelUnusable as error:
            self._store.discard(Source("files", identity))
            raise BadRequest(error.message, hint=error.hint) from error
        return replace(manifest, adapter=identity)

    def _with_layers(self, start: Manifest, recipe: Recipe) -> Manifest:
        """What the recipe says wins; parameters are merged one by one. Raises BadRequest."""
        template = recipe.template
        if template:
            # 'ollama show --modelfile' prints the files' chat template: given back, it is no template of its own
            if template.strip() == (self._store.build(start).facts.chat_template or "").strip():
                template = ""
            else:
                _check_template(template)
        return replace(
            start,
            name=recipe.name,
            system=recipe.system or start.system,
            template=template or start.template,
            license=recipe.license or start.license,
            parameters={**start.parameters, **recipe.parameters},
            messages=recipe.messages or start.messages,
        )

    def _files_digest(self, base: ModelName | None) -> str:
        model = self._store.find(base) if base is not None else None
        return model.digest if model is not None else ""


def _check_template(text: str) -> None:
    try:
        read_template(text)
    except TemplateError as error:
        raise BadRequest(f"template error: {error}", hint=_NO_JINJA if "{%" in text else "") from error


def _layer_lines(start: Manifest, manifest: Manifest, files: str) -> list[str]:
    """One line a layer: what the base has already is used, the rest is new."""
    if files:
        lines = [f"using existing layer sha256:{files}"]
    else:
        lines = [f"creating new layer sha256:{manifest.source.location}"]
    known = start.layers
    for kind, value in manifest.layers.items():
        word = "using existing layer" if known.get(kind) == value else "creating new layer"
        lines.append(f"{word} sha256:{layer_digest(value)}")
    return lines

"""From a place on the disk, and what a manifest adds to it, to a ``Model``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from vllama.errors import ModelUnusable, NotPulled
from vllama.jsontext import encode
from vllama.models import listing
from vllama.models.adapter import read_adapter
from vllama.models.blobs import Blobs
from vllama.models.contents import Contents, FolderReader
from vllama.models.manifest import Manifest, model_digest
from vllama.models.model import Facts, Model
from vllama.models.names import ModelName
from vllama.models.parsers import shows_thoughts, takes_tools
from vllama.models.snapshots import find_snapshot
from vllama.models.sources import Source
from vllama.templates import TemplateError
from vllama.templates.model_template import read_template

_BUILTIN: Final = Path(__file__).parent / "builtin"


def place_of(source: Source, blobs: Blobs, state: Path) -> Path:
    """The model's directory; raises ModelUnusable for a repository that was not fetched."""
    if source.kind == "builtin":
        return _BUILTIN / source.location
    if source.kind == "files":
        return blobs.directory(source.location)
    if source.kind == "directory":
        # the files may move below us (a link that is switched): keep the name that was given
        return Path(source.location).expanduser().absolute()
    snapshot = find_snapshot(state, source.location, source.revision)
    if snapshot is None:
        raise NotPulled(f"{source} is not downloaded", hint=f"Fetch it: vllama pull {source}")
    return snapshot


def plain_model(name: ModelName, path: Path, contents: Contents) -> Model:
    """A directory under a name, nothing added."""
    return Model(
        name=name,
        path=path,
        facts=contents.facts,
        digest=contents.digest,
        size=contents.size,
        modified_at=contents.modified_at,
        license=contents.license,
    )


def stored_model(manifest: Manifest, modified_at: float, blobs: Blobs, state: Path, reader: FolderReader) -> Model:
    """The model of a name of the library; raises ModelUnusable."""
    path = place_of(manifest.source, blobs, state)
    contents = reader.read(path)
    model = replace(
        plain_model(manifest.name, path, contents),
        facts=_with_template(_with_parsers(contents.facts, manifest), manifest.template),
        digest=model_digest(contents.digest, manifest.layers),
        modified_at=modified_at,
        adapter=read_adapter(blobs.directory(manifest.adapter)) if manifest.adapter else None,
        parent=manifest.parent,
        system=manifest.system,
        template=manifest.template,
        license=manifest.license or contents.license,
        parameters=dict(manifest.parameters),
        messages=manifest.messages,
    )
    check_listed(model)
    return model


def check_listed(model: Model) -> None:
    """Raises what listing the model would raise: one that can't be listed must not be among those that are."""
    encode(listing.tag(model, 0))
    encode(listing.shown(model, 0))


def with_template(facts: Facts, template: str) -> Facts:
    """What the model can do with a template of its own: that decides on tools and thinking; raises TemplateError.

    Fill-in-the-middle needs no template where the tokenizer has the tokens.
    """
    if not template:
        return facts
    kept = [name for name in facts.capabilities if name not in {"tools", "thinking"}]
    can = sorted(read_template(template).capabilities)
    return replace(facts, capabilities=tuple(dict.fromkeys([*kept, *can])))


def _with_template(facts: Facts, template: str) -> Facts:
    try:
        return with_template(facts, template)
    except TemplateError as error:
        raise ModelUnusable(
            f"its TEMPLATE can't be used: {error}", hint="Create the model again with a Go template, or without one."
        ) from error


def _with_parsers(facts: Facts, manifest: Manifest) -> Facts:
    """The catalogue's parsers where the chat template takes tools or thoughts, but not in a spelling that we know."""
    template, found = facts.chat_template or "", set(facts.capabilities)
    tool, reasoning = facts.tool_parser, facts.reasoning_parser
    if tool is None and manifest.tool_parser and takes_tools(template):
        tool = manifest.tool_parser
        found.add("tools")
    if reasoning is None and manifest.reasoning_parser and shows_thoughts(template):
        reasoning = manifest.reasoning_parser
        found.add("thinking")
    capabilities = (*facts.capabilities, *sorted(found - {*facts.capabilities}))
    return replace(facts, tool_parser=tool, reasoning_parser=reasoning, capabilities=capabilities)

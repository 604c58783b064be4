"""What a repository of the hub is, asked before it is pulled by a child process, as ``models.downloads`` fetches.

``python -m vllama.download.process`` reads ``{"source": ..., "registry": ..., "secrets": {"HF_TOKEN": ...}}`` and
writes ``{"facts": ...}`` or ``{"failed": ...}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Mapping
from typing import Final

import orjson
from pydantic import TypeAdapter

from vllama import child, privacy
from vllama.download.messages import REGISTRY, error_of, failure_of
from vllama.download.transfer import hub_environment
from vllama.errors import PullFailed, VllamaError
from vllama.install.registry import Registry
from vllama.models.model import Facts
from vllama.models.sources import Source, parse_source

_LOG: Final = logging.getLogger("vllama.models")
_FACTS: Final = TypeAdapter(Facts)
_OUTPUT: Final = 1
"""Where the parent reads."""


async def facts_ahead(source: Source, environ: Mapping[str, str], registry: Registry) -> Facts:
    """The facts of a hub repository. Raises PullFailed, and ModelUnusable for what could not be served.

    ``registry``: what the engine knows about models.
    """
    process = await asyncio.create_subprocess_exec(
        *child.module("vllama.download.process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        **child.start(hub_environment(environ)),
        start_new_session=True,
    )
    try:
        known = REGISTRY.dump_python(registry, mode="json")
        answer, said = await process.communicate(
            orjson.dumps({"source": str(source), "registry": known, "secrets": child.secrets_in(environ)})
        )
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    match orjson.loads(answer or b"null"):
        case {"facts": facts}:
            return _FACTS.validate_python(facts)
        case {"failed": failure}:
            raise error_of(failure)
    _LOG.error("asking for %s broke off: %s", source, said.decode("utf-8", "replace").strip())
    raise PullFailed(f"asking the hub for {source} broke off")


def main() -> None:
    """Print the facts of the source that standard input names."""
    # importing huggingface_hub takes time and memory: only this child does it
    from vllama.download.hub import preview  # noqa: PLC0415

    wanted = orjson.loads(sys.stdin.buffer.read())
    privacy.take(wanted["secrets"])
    source = parse_source(wanted["source"])
    if source is None:
        raise ValueError("no source")
    try:
        answer = {
            "facts": _FACTS.dump_python(preview(source, REGISTRY.validate_python(wanted["registry"])), mode="json")
        }
    except VllamaError as error:
        answer = {"failed": failure_of(error)}
    with open(_OUTPUT, "wb", closefd=False) as output:
        output.write(orjson.dumps(answer))


if __name__ == "__main__":
    main()

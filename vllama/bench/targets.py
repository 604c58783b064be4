"""Finds out what a target is: which API it speaks, which model it has, and what a word costs in its tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from vllama.bench.drive import send
from vllama.bench.identity import Identity, of_ollama, of_openai
from vllama.bench.prompts import words
from vllama.bench.samples import Target
from vllama.bench.workload import Dialect, Workload
from vllama.errors import BadRequest, ModelUnusable, NotFound
from vllama.install.capabilities import shipped_registry
from vllama.models.facts import read_facts
from vllama.models.files import read_files
from vllama.models.listing import parameter_size

_PROBE_WORDS: Final = 100
_LOOK_SECONDS: Final = 10.0
"""Within this time a server must answer questions about itself."""
_MARK: Final = "vllama_requests_in_flight"
"""A metric that only we have: Ollama's version route reports the API's version, not ours."""


@dataclass(frozen=True, slots=True)
class TargetPlace:
    """Where to look for a target, as a person names it."""

    name: str
    address: str
    dialect: Dialect | None = None
    """None: found out."""
    model: str = ""
    """Empty: the one that runs there, where there is just one."""


def read_place(text: str) -> TargetPlace:
    """``NAME=[ollama:|openai:]ADDRESS``; raises BadRequest."""
    name, equals, rest = text.partition("=")
    if not equals or not name or not rest:
        raise BadRequest(f"{text!r} does not name a target", hint="Write NAME=http://HOST:PORT or NAME=unix:/PATH")
    kind, _, address = rest.partition(":")
    if kind == "ollama":
        return TargetPlace(name, address, "ollama")
    if kind == "openai":
        return TargetPlace(name, address, "openai")
    return TargetPlace(name, rest)


async def find(session: aiohttp.ClientSession, place: TargetPlace) -> Target:
    """The target at a place. Raises NotFound without a valid answer there, or without the model."""
    dialect = place.dialect
    if dialect is None:
        dialect = "ollama" if "version" in await _json(session, "/api/version") else "openai"
    path, key, label = ("/api/ps", "models", "name") if dialect == "ollama" else ("/v1/models", "data", "id")
    known = [str(entry.get(label, "")) for entry in await _list(session, place, path, key)]
    if dialect == "ollama" and len(known) != 1 and not place.model:
        known = [str(entry.get("name", "")) for entry in await _list(session, place, "/api/tags", "models")]
    served_alone = dialect == "openai" and len(known) == 1 and place.model not in known
    model = known[0] if served_alone else place.model or (known[0] if len(known) == 1 else "")
    if not model:
        raise NotFound(
            f"{place.name} has {len(known)} models" if known else f"{place.name} has no model",
            hint=f"Name one: {', '.join(known[:5])}" if known else "",
        )
    return Target(place.name, place.address, dialect, model)


async def identify(session: aiohttp.ClientSession, target: Target) -> Identity:
    """What a target reports of itself; its model is loaded. Raises NotFound when it does not have the model."""
    if target.dialect == "ollama":
        return of_ollama(
            server="vLLama" if await _is_ours(session) else "Ollama",
            model=target.model,
            version=await _json(session, "/api/version"),
            show=await _json(session, "/api/show", {"model": target.model}),
            loaded=(await _json(session, "/api/ps")).get("models") or [],
        )
    entries = (await _json(session, "/v1/models")).get("data") or []
    entry = next((one for one in entries if one.get("id") == target.model), {"id": target.model})
    identity = of_openai(entry, await _json(session, "/version"))
    return _with_files(identity, Path(str(entry.get("root", ""))))


async def calibrate(session: aiohttp.ClientSession, target: Target, work: Workload) -> float:
    """Tokens that one word of our prompts takes at a target, which loads its model. Raises NotFound when it can't."""
    probe = replace(work, max_tokens=1, fixed=False)
    sizes = []
    for count in (1, 1 + _PROBE_WORDS):  # what the chat template adds is in both
        body = probe.request(target.dialect, target.model, words(count, f"probe {count}"))
        leg = await send(session, target, probe, [body], clients=1)
        if leg.samples[0].error:
            raise NotFound(f"{target.name} can't be measured: {leg.samples[0].error}")
        sizes.append(leg.samples[0].tokens_in)
    return max(sizes[1] - sizes[0], 1) / _PROBE_WORDS


async def _is_ours(session: aiohttp.ClientSession) -> bool:
    try:
        _, metrics = await _get(session, "/metrics")
    except (aiohttp.ClientError, OSError):
        return False
    return _MARK.encode() in metrics


def _with_files(identity: Identity, root: Path) -> Identity:
    """Parameters and bits from the model's own files, if the server runs on this machine and reports their place."""
    if not root.is_absolute() or not root.is_dir():
        return identity
    try:
        facts = read_facts(read_files(root), shipped_registry())
    except ModelUnusable:
        return identity
    return replace(identity, parameters=parameter_size(facts.parameter_count), bits=facts.quantization)


async def _list(session: aiohttp.ClientSession, place: TargetPlace, path: str, key: str) -> list[dict[str, Any]]:
    """Raises NotFound, which says what is wrong with the answer."""
    problem = ""
    try:
        status, data = await _get(session, path)
    except (aiohttp.ClientError, OSError) as error:
        problem = _unreachable(error)
    else:
        answer = _object(data) if status == 200 else {}
        if isinstance(found := answer.get(key, ...), list | None):
            return [one for one in found or [] if isinstance(one, dict)]
        problem = f"GET {path} was answered with status {status}" + (f" and no {key}" if status == 200 else "")
    raise NotFound(
        f"{place.name} at {place.address} can't be measured: {problem}",
        hint="It must have Ollama's or OpenAI's API. Name the API: NAME=ollama:ADDRESS or NAME=openai:ADDRESS",
    )


def _unreachable(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_LOOK_SECONDS:g} s"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "it does not speak TLS; write http:// instead of https://"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no server answers ({error.os_error.strerror or error.os_error})"
    return "what answers there is not an HTTP server"


async def _json(session: aiohttp.ClientSession, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The object of a good answer; empty for every other."""
    try:
        status, data = await _get(session, path, body)
    except (aiohttp.ClientError, OSError):
        return {}
    return _object(data) if status == 200 else {}


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


async def _get(session: aiohttp.ClientSession, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Status and body; raises aiohttp's errors and TimeoutError."""
    limit = aiohttp.ClientTimeout(total=_LOOK_SECONDS)
    async with session.request("GET" if body is None else "POST", path, json=body, timeout=limit) as answer:
        return answer.status, await answer.read()

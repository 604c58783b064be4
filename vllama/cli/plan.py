"""``vllama plan``: whether a model fits, with which settings, and what else would fit. Needs no running service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from vllama.cli import completion, output
from vllama.cli import format as fmt
from vllama.cli.remote import Broken, Refused, Remote, Unreachable, service_options
from vllama.cli.whose import note_whose
from vllama.config.environment import environment
from vllama.config.load import Loaded, load_config
from vllama.download.plan import as_planned, choose_by_plan
from vllama.engine.by_hand import ByHand, by_hand
from vllama.engine.command import build_spec
from vllama.engine.compiled import CompiledCode, code_name
from vllama.engine.kept_code import folder_of
from vllama.errors import BadRequest, EngineNotInstalled, LoadFailed, NotFound
from vllama.fit.alternatives import Alternative, alternatives
from vllama.fit.compiling import loads, may_be_eager_first
from vllama.fit.gpu import detect
from vllama.fit.hardware import Hardware, imagined
from vllama.fit.measurements import Measurements, plan_as_measured
from vllama.fit.memory import kv_bytes_per_token
from vllama.fit.plan import Missing, Plan, Refusal, memory
from vllama.fit.settings import wanted_settings
from vllama.fit.words import hint_of, parts_of, too_big
from vllama.install.capabilities import Capabilities
from vllama.install.engines import locate
from vllama.models.catalogs import read_catalog
from vllama.models.library import Library
from vllama.models.model import Model
from vllama.models.names import ModelName, parse_name
from vllama.models.sources import Source, parse_argument
from vllama.service.pulling import asking
from vllama.service.stock import open_store, registry_of

_SHOWN: Final = (
    "max_model_len",
    "max_num_seqs",
    "max_num_batched_tokens",
    "gpu_memory_utilization",
    "kv_cache_memory",
    "kv_cache_chats",
    "kv_cache_share",
    "kv_cache_dtype",
    "dtype",
    "quantization",
    "tensor_parallel_size",
    "enforce_eager",
)


@click.command("plan")
@click.argument("model", shell_complete=completion.models_and_catalog)
@click.option("--gpu", metavar="SIZE", help="Plan for this GPU instead of this machine: 24G, 2x80G.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file.")
@service_options
def command(*, model: str, gpu: str | None, as_json: bool, file: Path | None, host: str) -> None:
    """Show whether MODEL fits into memory, how it would be started, and what else would fit.

    MODEL is a name, a directory or a repository (org/name). For a repository that was not pulled, the command reads
    only the small files and the headers of the weights. If a service runs, the memory of the models that it would
    unload counts as free. Exit status 1 means that the model does not fit.
    """
    loaded = load_config(file, environ=environment())
    note_whose(loaded, environment(), f"plan {model}")
    engine = _engine(loaded)
    hardware = _imagined(gpu) if gpu is not None else _here(engine, host, loaded.config.engine.max_ram)
    found = _find(model, loaded, hardware)
    wanted = wanted_settings(found, loaded.config, hardware)
    answer, _ = plan_as_measured(
        Measurements(loaded.state), found, wanted, hardware, version=engine.version if engine else ""
    )
    others = alternatives(found.facts, wanted, hardware)
    start = _start(found, answer, hardware, engine, loaded, elsewhere=gpu is not None)
    if as_json:
        output.data(_as_json(found, answer, others, start))
        if isinstance(answer, Refusal):
            raise click.exceptions.Exit(1)
    elif isinstance(answer, Refusal):
        raise LoadFailed(too_big(answer.need, answer.place), hint=hint_of(answer.need, others), code="too_big")
    else:
        for text in _lines(found, answer, others, start):
            output.line(text)


def _find(text: str, loaded: Loaded, hardware: Hardware) -> Model:
    library = Library(loaded.state)
    known = {name.key for one in loaded.config.models if (name := parse_name(one)) is not None} | {*library.all()}
    read = parse_argument(text, known, lambda place: Path(place).expanduser().is_dir())
    title = read[0] if read is not None else text
    name = parse_name(title)
    extra = {title: read[1]} if read is not None and read[1] is not None else {}
    store = open_store(loaded, extra, library)
    if name is None:
        raise BadRequest(f"{text!r} is not a model name")
    if (model := store.find(name)) is not None:
        return model
    source, meant = store.source(name), name
    if source is not None and source.kind == "model":
        meant = parse_name(source.location) or name
        source = None
    catalog = read_catalog(loaded.config.paths.catalog)
    listing = catalog.find(meant)
    if source is None and listing is not None:
        planned = replace(listing, name=name)
        choice = asyncio.run(
            choose_by_plan(planned, loaded.config, hardware, environment(), asking(loaded, environment()))
        )
        if choice is not None and choice.facts is not None:
            return as_planned(name, choice.facts, choice.offer.repository)
        source = Source("hub", choice.offer.repository) if choice is not None else None
    if source is not None and source.kind == "hub":
        return _ahead(name, source, loaded)
    near = f"Did you mean {close}? " if (close := catalog.near(meant)) else ""
    raise store.problem(name) or NotFound(f"model {text!r} not found", hint=f"{near}The catalogue: vllama catalog list")


def _ahead(name: ModelName, source: Source, loaded: Loaded) -> Model:
    """A model that is not installed yet, as its repository describes it."""
    # slow to import, and only needed here
    from vllama.download.hub import describe  # noqa: PLC0415

    return as_planned(name, describe(source, registry_of(loaded)()), source.location)


def _engine(loaded: Loaded) -> Capabilities | None:
    try:
        return locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache)
    except EngineNotInstalled:
        return None


def _imagined(text: str) -> Hardware:
    gpus = imagined(text)
    if gpus is None:
        raise BadRequest(f"{text!r} is not a valid GPU memory size", hint="Write 24G, or 2x80G for two of them.")
    machine = detect()
    return Hardware("cuda", machine.cores, machine.ram_total, machine.ram_available, gpus)


def _here(engine: Capabilities | None, host: str, max_ram: int | None) -> Hardware:
    """This machine, with the memory that the running service would free."""
    hardware = detect()
    if engine is not None:
        hardware = hardware.for_backend(engine.backend)
    try:
        answer = Remote(host).get("/api/ps", "models")
    except (Unreachable, Refused, Broken):
        answer = {"models": []}
    sizes = [(int(one.get("size", 0)), int(one.get("size_vram", 0))) for one in answer["models"]]
    return hardware.holding(sizes, max_ram)


@dataclass(frozen=True, slots=True)
class _Start:
    """How vLLM would be started; nothing of a model that does not fit."""

    flags: tuple[str, ...] = ()
    """As the service starts it. Empty where no engine is installed."""
    command: ByHand | None = None
    """For a terminal; None where no engine is installed."""
    loads: str = ""
    """What the first and the next load do."""


def _start(
    model: Model,
    answer: Plan | Missing | Refusal,
    hardware: Hardware,
    engine: Capabilities | None,
    loaded: Loaded,
    *,
    elsewhere: bool,
) -> _Start:
    if not isinstance(answer, Plan):
        return _Start()
    settings = answer.settings
    eager_first = may_be_eager_first(settings, model.facts.task, hardware, loaded.config.engine.compile)
    if engine is None:
        return _Start(loads=loads(settings, eager_first=eager_first, has_code=False))
    name = model.name.short
    spec = build_spec(
        model,
        answer.settings,
        hardware,
        engine,
        name=name,
        socket=loaded.runtime / "engine.sock",
        cache=loaded.cache,
        environ={},
    )
    code = code_name(model.digest, engine.version, spec.argv, spec.env)
    kept = CompiledCode(folder_of(loaded.cache, engine, hardware.cpu))
    return _Start(
        spec.argv[3:],
        by_hand(spec, str(model.path), settings.values.env, elsewhere=elsewhere),
        loads(settings, eager_first=eager_first, has_code=kept.has(code)),
    )


def _lines(model: Model, answer: Plan | Missing, others: tuple[Alternative, ...], start: _Start) -> Iterator[str]:
    place = answer.place
    where = f"GPU {', '.join(map(str, place.gpus))}" if place.on_gpu else "the CPU"
    yield output.bold(f"{model.name.short} on {where}")
    if isinstance(answer, Missing):
        yield f"  {memory(answer.bytes)} more must be free: models that are idle are unloaded for it"
        yield f"  {parts_of(answer.need)}"
        return
    settings = answer.settings
    yield f"  {answer.sum}"
    yield f"  {parts_of(settings.estimate)}"
    for note in filter(None, (answer.chats, start.loads, *settings.notes)):
        yield f"  {note}"
    values = settings.values.model_dump()
    if values["kv_cache_memory"] is not None:
        values["kv_cache_memory"] = memory(values["kv_cache_memory"])
    rows = [[key, str(values[key]), settings.origins.get(key, "")] for key in _SHOWN if values[key] is not None]
    yield from ("", *fmt.table(["SETTING", "VALUE", "WHY"], rows))
    if others:
        alone = " (when other models are unloaded)"
        choices = [[other.text, f"{other.plan.sum}{alone if other.emptied else ''}"] for other in others]
        yield from ("", *fmt.table(["OR", "WOULD TAKE"], choices))
    if start.command is not None:
        yield from ("", "The same vLLM in a terminal:", str(start.command))


def _as_json(
    model: Model, answer: Plan | Missing | Refusal, others: tuple[Alternative, ...], start: _Start
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": model.name.short,
        "fits": isinstance(answer, Plan),
        "place": asdict(answer.place),
        "alternatives": [{"change": other.text, **_summary(other.plan)} for other in others],
    }
    if isinstance(answer, Plan):
        settings = answer.settings
        per_token = kv_bytes_per_token(model.facts.attention, settings.values.kv_cache_dtype)
        values: Mapping[str, Any] = settings.values.model_dump(exclude_none=True, exclude_defaults=True)
        return {
            **found,
            **_summary(answer),
            "kv_bytes_per_token": int(per_token),
            "settings": values,
            "origins": dict(settings.origins),
            "notes": list(settings.notes),
            "flags": list(start.flags),
            **(
                {"command": start.command.argv, "environment": start.command.env, "shell": str(start.command)}
                if start.command is not None
                else {}
            ),
            **({"loads": start.loads} if start.loads else {}),
        }
    if isinstance(answer, Missing):
        found["missing"] = answer.bytes
    return {**found, "message": too_big(answer.need, answer.place), "need": asdict(answer.need)}


def _summary(plan: Plan) -> dict[str, Any]:
    return {
        "sum": plan.sum,
        "chats": plan.chats,
        "need": asdict(plan.settings.estimate),
        "context": plan.settings.context,
        "requests": round(plan.requests, 2),
    }

